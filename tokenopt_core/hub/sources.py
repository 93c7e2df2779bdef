"""Where the files of a model are: published under a name, in a folder in hub layout, or alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..checks import nearest, shortened
from ..files.small import read_json
from ..files.weights import SUFFIXES
from .fetch import HubFile, fetch_files
from .messages import Progress

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
HUB_FILES = (CONFIG, WEIGHTS)
LONGEST_SOURCE = 100  # characters in a message


class ModelFiles(NamedTuple):
    """A model's name, its weights file, and its configuration (None: not needed or not there)."""

    name: str
    weights: Path
    config: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Published:
    """Published weights: a hub repository, and the files to take from it."""

    repo: str
    files: tuple[str, ...] = HUB_FILES

    @property
    def weights(self) -> str:
        """The file with the tensors; the registry knows what the others say."""
        return self.files[-1]

    def find(self, name: str, models_dir: str | Path | None = None) -> Path | None:
        """The folder that has the weights, or None. Never uses the network.

        Args:
            name: of the model, and of its folder.
            models_dir: the folder that has (or will have) one folder per model; None means the
                hub's own cache.
        """
        weights = HubFile(self.repo, (self.weights,)).find(_folder(name, models_dir))
        return weights.parent if weights else None

    def fetch(
        self,
        name: str,
        size: Callable[[], int],
        models_dir: str | Path | None = None,
        progress: Progress | None = None,
        *,
        download: bool = True,
    ) -> Path:
        """The folder that has the weights, downloaded first if they are not there.

        See `fetch_files` for how, for the arguments, and for what it raises.

        Args:
            size: tells about the bytes of the weights, without asking for them.
        """
        folder = self.find(name, models_dir)
        if folder is not None:
            return folder
        *others, weights = self.files
        files = [HubFile(self.repo, (file,)) for file in others]
        files += [HubFile(self.repo, (weights,), size=size())]
        folder = _folder(name, models_dir)
        *_, path = fetch_files(name, files, folder, progress, download=download)
        return path.parent


def local_files(source: str | Path, kind: str, known: Sequence[str]) -> ModelFiles:
    """The files of a source that is a folder, its config.json or a weights file.

    Args:
        kind: "tokenizer" or the like, for messages.
        known: names that could have been meant.

    Raises:
        TypeError: `source` is neither text nor a path.
        ValueError: it is neither a folder nor a weights file.
        FileNotFoundError: a folder without weights.
    """
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"{kind} is {source!r}, expected a name or a path.")
    path, found = _path_and_kind(source)
    if found == "folder":
        return files_in(path)
    if found == "file" and path.suffix in SUFFIXES:
        own_config = path.with_name(CONFIG) if path.stem in ("model", "pytorch_model") else None
        return ModelFiles(path.stem, path, _read_config(own_config))
    what = "a file of another kind" if found == "file" else "not there"
    raise ValueError(
        f"{kind} is {shortened(str(source), LONGEST_SOURCE)!r}, which is {what}: expected a "
        f"name like {nearest(str(source), known)} (known_{kind}s() has all), a "
        f"folder with {CONFIG} and {WEIGHTS}, or a weights file ({', '.join(SUFFIXES)})."
    )


def files_in(folder: Path) -> ModelFiles:
    """The weights file in a folder, by its usual name or as the only one, and the config."""
    path = folder / WEIGHTS
    if not path.is_file():
        files = folder.iterdir() if folder.is_dir() else ()
        candidates = sorted(file for file in files if file.suffix in SUFFIXES and file.is_file())
        if len(candidates) != 1:
            found = ", ".join(file.name for file in candidates) or "no weights"
            raise FileNotFoundError(f"{folder} has {found}, expected {WEIGHTS} (and {CONFIG}).")
        path = candidates[0]
    return ModelFiles(folder.name, path, _read_config(folder / CONFIG))


def _folder(name: str, models_dir: str | Path | None) -> Path | None:
    return Path(models_dir) / name if models_dir is not None else None


def _path_and_kind(source: str | os.PathLike[str]) -> tuple[Path, str]:
    """The path of a source, of the folder for a config.json, and "folder", "file" or ""."""
    try:
        path = Path(source).expanduser()
        if path.name == CONFIG and path.is_file():
            path = path.absolute().parent
        # Path("") is the current folder, which nobody means.
        kind = "file" if path.is_file() else "folder" if str(source) and path.is_dir() else ""
    except (OSError, ValueError, RuntimeError):  # no name of a file: too long, NUL, unknown ~user
        return Path(), ""
    return path, kind


def _read_config(path: Path | None) -> dict[str, Any] | None:
    return None if path is None or not path.is_file() else read_json(path)
