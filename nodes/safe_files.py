"""Files of this pack in ComfyUI's own folders: where a new one goes, and which ones there are.

What a workflow names is only ever looked up in what was found, or must lie in the output folder
after every link is followed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..tokenopt_core.names import nearest
from ..tokenopt_core.positions import shortened
from .compat import folder_paths

IN_OUTPUT = " [output]"  # how ComfyUI marks a file of the output folder


def new_output_file(prefix: str, suffix: str) -> tuple[Path, dict[str, str]]:
    """A path in the output folder at which there is nothing yet, and what the front end calls it.

    Args:
        prefix: "name" or "folder/name", the input filename_prefix; a counter is added.
        suffix: such as ".attribute.safetensors".

    Raises:
        ValueError: the name leaves the output folder, or is none.
    """
    base = Path(folder_paths.get_output_directory()).resolve()
    if "\0" in prefix or not Path(prefix).name or not _inside(base, base / prefix):
        raise ValueError(
            f"filename_prefix is {shortened(prefix)!r}, expected a name or folder/name inside "
            "ComfyUI's output folder."
        )
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, str(base))
    path = Path(folder, f"{name}_{counter:05}_{suffix}")
    return path, {"filename": path.name, "subfolder": subfolder, "type": "output"}


def saved_files(suffix: str) -> dict[str, Path]:
    """The files with this suffix in the input and the output folder, by the name to choose."""
    found = {}
    for folder, mark in (
        (folder_paths.get_input_directory(), ""),
        (folder_paths.get_output_directory(), IN_OUTPUT),
    ):
        base = Path(folder).resolve()
        names = {path.relative_to(base).as_posix() + mark: path for path in _files(base, suffix)}
        found |= dict(sorted(names.items()))
    return found


def saved_file(name: str, suffix: str, kind: str) -> Path:
    """The file that was chosen as `name`; raises ValueError if there is none now.

    Args:
        kind: what the file holds, for the message, such as "an attribute".
    """
    found = saved_files(suffix)
    if name not in found:
        hint = (
            f"did you mean one of {nearest(name, list(found))}?"
            if found
            else f"there is none yet: save {kind} first."
        )
        raise ValueError(
            f"file is {shortened(name)!r}, expected {kind} (*{suffix}) in ComfyUI's input or "
            f"output folder; {hint}"
        )
    return found[name]


def file_facts(name: str, suffix: str) -> str:
    """Size and time of the file that was chosen as `name`: another text after it was replaced."""
    path = saved_files(suffix).get(name)
    try:
        facts = path.stat() if path else None
    except OSError:  # deleted just now; said when the node runs
        facts = None
    return f"{facts.st_size} {facts.st_mtime_ns}" if facts else ""


def _files(base: Path, suffix: str) -> Iterator[Path]:
    """Files below a folder, without hidden ones and without links that lead out of it."""
    for place, folders, names in os.walk(base):
        folders[:] = [folder for folder in folders if not folder.startswith(".")]
        for name in names:
            path = Path(place, name)
            if name.endswith(suffix) and not name.startswith(".") and _inside(base, path):
                yield path


def _inside(base: Path, path: Path) -> bool:
    try:
        place = path.resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name too long
        return False
    return place.is_relative_to(base) and place != base
