"""Files of this pack in ComfyUI's own folders: where a new one goes, and which ones there are.

What a workflow names must lie in one of the two folders after every link is followed.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ...tokenopt_core.checks import nearest, shortened, shown
from .compat import folder_paths
from .file_names import dated, stays_inside

LONGEST_PART, LONGEST = 180, 1000  # bytes; disks allow 255 with counter and ending
IN_OUTPUT = " [output]"  # how ComfyUI marks a file of the output folder


def new_output_file(
    prefix: str, suffix: str, size: tuple[int, int] | None = None
) -> tuple[Path, dict[str, str]]:
    """A path in the output folder at which there is nothing yet, and what the front end calls it.

    Args:
        prefix: "name" or "folder/name", the input filename_prefix; a counter is added.
        suffix: such as ".attribute.safetensors".
        size: width and height of an image, where there is one.

    Raises:
        ValueError: the name leaves the output folder, is none, hidden or too long, or asks for a
            size that there is not.
    """
    if size is None and re.search("%(width|height)%", str(prefix)):
        raise ValueError(
            f"filename_prefix is {shown(prefix)}, expected no %width% and %height%: there is no "
            "image here that has a size; leave them out."
        )
    folder, name, counter, subfolder = output_place(prefix, size or (0, 0))
    path = Path(folder, f"{name}_{counter:05}_{suffix}")
    return path, {"filename": path.name, "subfolder": subfolder, "type": "output"}


def output_place(prefix: str, size: tuple[int, int]) -> tuple[str, str, int, str]:
    """Folder, name, counter and subfolder of new files; raises as `check_name` does.

    Args:
        prefix: the input filename_prefix; dates, and what ComfyUI knows, are filled in.
        size: width and height of the image.
    """
    prefix = dated(prefix)
    return folder_paths.get_save_image_path(prefix, str(check_name(prefix)), *size)[:4]


def check_name(prefix: str) -> Path:
    """The output folder; raises ValueError if a file of this name would lie outside of it, could
    not be found again, or if no disk takes the name: the disk's own message tells of our paths.

    Args:
        prefix: the input filename_prefix.
    """
    base = Path(folder_paths.get_output_directory()).resolve()
    inside = stays_inside(prefix) and not prefix.endswith(("/", "\\"))
    if not inside or not _inside(base, base / prefix):
        raise ValueError(
            f"filename_prefix is {shown(prefix)}, which leaves ComfyUI's output folder or is no "
            "name; expected a name or folder/name inside it."
        )
    parts = re.split(r"[/\\]", os.path.normpath(prefix))
    if any(part.startswith(".") for part in parts):
        raise ValueError(
            f"filename_prefix is {shortened(prefix)!r}, expected names that do not start with a "
            "dot: such files are hidden, and no node could load them again."
        )
    sizes = [len(part.encode(errors="replace")) for part in parts]
    if max(sizes) > LONGEST_PART or sum(sizes) > LONGEST:
        raise ValueError(
            f"filename_prefix is {shortened(prefix)!r} with {len(prefix)} characters, expected a "
            f"shorter name: at most {LONGEST_PART} bytes between two slashes, {LONGEST} in all."
        )
    return base


@contextlib.contextmanager
def writing(prefix: str | None) -> Iterator[None]:
    """The scope in which a node runs whose input filename_prefix is `prefix`; None has none.

    Raises:
        ValueError: the disk refuses; its own message tells of our paths and of no cure.
    """
    try:
        yield
    except OSError as error:
        if prefix is None:
            raise
        raise ValueError(
            f"filename_prefix is {shown(prefix)}, where nothing can be written "
            f"({error.strerror}); expected a place in ComfyUI's output folder: choose another one, "
            "or look at the folder's rights and the room on the disk."
        ) from error


def saved_files(suffix: str) -> dict[str, Path]:
    """The files with this suffix in the input and the output folder, by the name to choose."""
    files = {}
    for base, mark in _folders():
        names = {path.relative_to(base).as_posix() + mark: path for path in _files(base, suffix)}
        files |= dict(sorted(names.items()))
    return files


def saved_file(name: str, suffix: str, kind: str, asked: str = "file") -> Path:
    """The file that was chosen as `name`; raises ValueError if there is none now.

    Args:
        kind: what the file holds, for the message, such as "an attribute".
        asked: the input by which it was chosen.
    """
    path = _chosen(name, suffix)
    if path is None:
        known = saved_files(suffix)
        hint = (
            f"did you mean one of {nearest(str(name), list(known))}?"
            if known
            else f"there is none yet: save {kind} first."
        )
        raise ValueError(
            f"{asked} is {shown(name)}, expected {kind} (*{suffix}) in ComfyUI's input or "
            f"output folder; {hint}"
        )
    return path


def file_facts(name: str | None, suffix: str) -> str | float:
    """Size and time of the file that was chosen as `name`: another text after it was replaced.

    A name that comes through a link (None) is not known before the run: NaN, which is never equal.
    """
    if name is None:
        return float("nan")  # a new one: Python takes a NaN for equal to itself in a list
    path = _chosen(name, suffix)
    try:
        facts = path.stat() if path else None
    except OSError:  # deleted just now; said when the node runs
        facts = None
    return f"{facts.st_size} {facts.st_mtime_ns}" if facts else ""


def _folders() -> list[tuple[Path, str]]:
    """The two folders, and how names of files in them end."""
    pairs = (
        (folder_paths.get_input_directory(), ""),
        (folder_paths.get_output_directory(), IN_OUTPUT),
    )
    return [(Path(folder).resolve(), mark) for folder, mark in pairs]


def _chosen(name: str, suffix: str) -> Path | None:
    """The file of this name, as `saved_files` calls it, without looking at all the others."""
    if not stays_inside(name):
        return None
    for base, mark in _folders():
        plain = name.removesuffix(mark)
        place = PurePosixPath(plain)
        hidden = any(part.startswith(".") for part in place.parts)  # .. too
        if name != plain + mark or not plain.endswith(suffix) or hidden or str(place) != plain:
            continue
        path = base / place
        if _inside(base, path) and os.path.isfile(path):  # False where the name is too long
            return path
    return None


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
