"""The folders of models: `models/titok` and `models/titok_guides` of ComfyUI.

A user's extra_model_paths.yaml may add places under the same two names. Model names from the UI are
only ever looked up in what was found here; they are never joined to a path.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from ...tokenopt_core.files.weights import SUFFIXES
from .compat import folder_paths

TOKENIZERS = "titok"
GUIDES = "titok_guides"
CONFIG_FILES = {TOKENIZERS: "config.json", GUIDES: "open_clip_config.json"}


def register_model_folders() -> None:
    """Makes both folders known to ComfyUI, beside the places that the user configured."""
    for kind in CONFIG_FILES:
        folder_paths.add_model_folder_path(kind, os.path.join(folder_paths.models_dir, kind))
        paths, suffixes = folder_paths.folder_names_and_paths[kind]
        folder_paths.folder_names_and_paths[kind] = (paths, set(suffixes) | set(SUFFIXES))


def local_models(kind: str) -> dict[str, Path]:
    """Path of each model found: folders that hold a config, tokenizers also as one file."""
    roots = [Path(root) for root in folder_paths.get_folder_paths(kind)]
    models = {
        folder.relative_to(root).as_posix(): folder
        for root in reversed(roots)  # earlier roots win
        for folder in _model_folders(root, CONFIG_FILES[kind])
    }
    if kind == TOKENIZERS:
        for name in folder_paths.get_filename_list(kind):
            file = folder_paths.get_full_path(kind, name)
            hidden = any(part.startswith(".") for part in Path(name).parts)  # .NAME.partial
            inside = file and any(Path(file).is_relative_to(folder) for folder in models.values())
            if file and not hidden and not inside:
                models[Path(name).as_posix()] = Path(file)
    return dict(sorted(models.items()))


def _model_folders(root: Path, config: str) -> Iterator[Path]:
    """Folders below `root` that hold `config`, as deep as they lie, but not the hidden ones.

    Linked folders count, as they do in ComfyUI's own search.
    """
    for place, folders, files in os.walk(root, followlinks=True):
        if config in files and Path(place) != root:
            folders.clear()  # what lies in a model's folder belongs to it
            yield Path(place)
        folders[:] = [name for name in folders if not name.startswith(".")]


def download_folder(kind: str, name: str = ".") -> Path:
    """The folder under which the released model `name` is, or will be once downloaded: the user's
    first one that can be written, because a shared one often may only be read."""
    roots = [Path(root) for root in folder_paths.get_folder_paths(kind)]
    there = (root for root in roots if (root / name).is_dir())
    return next(itertools.chain(there, filter(_can_be_written, roots)), roots[0])


def _can_be_written(folder: Path) -> bool:
    """Whether a folder, or the nearest one above it that exists, takes new files."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), None)
    return there is not None and there.is_dir() and os.access(there, os.W_OK | os.X_OK)
