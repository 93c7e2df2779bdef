"""Files on their way into a folder: one process at a time, checked before they are moved in."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from .transfer import CannotWrite, RemoteFile
from .waiting import BEAT_SECONDS, Beat

logger = logging.getLogger(__name__)

READ = 2**22  # bytes at a time
WORTH_KEEPING = 2**20  # bytes
MOVES = 10  # attempts: on Windows a virus scanner may still hold a new file for a moment
VERSION = 16  # characters; Windows often takes no path of more than 259


class Damaged(OSError):
    """A file is not what the hub announced; it is gone again."""


@contextlib.contextmanager
def locked(path: Path, beat: Beat) -> Iterator[None]:
    """Holds a lock file, and waits (`beat()` may cancel that) while another process holds it.

    The system lets go of the lock of a process that died.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock, waiting = FileLock(path), False
    while True:
        beat()
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            if not waiting:
                logger.info("Another process is downloading this model: waiting for it (%s).", path)
            waiting = True
            time.sleep(BEAT_SECONDS)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes it when it is let go of
            path.unlink()
        lock.release()


def partial_path(staging: Path, remote: RemoteFile) -> Path:
    """Where a file grows: never onto the bytes of another version."""
    return staging / f"{remote.name}.{remote.version[:VERSION]}"


def kept_in(staging: Path) -> int:
    """Bytes from which the next download can go on; 0 if there are too few to keep."""
    files = staging.iterdir() if staging.is_dir() else ()
    size = sum(file.stat().st_size for file in files)
    return size if size >= WORTH_KEEPING else 0


def check_room(folder: Path, needed: int) -> None:
    """Raise CannotWrite unless the disk of a folder (that may not exist yet) has `needed` bytes."""
    from .messages import in_bytes

    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise CannotWrite(f"it needs {in_bytes(needed)}, and {there} has {in_bytes(free)} free")


def check(path: Path, remote: RemoteFile, beat: Beat) -> None:
    """Remove a file and raise Damaged unless it is whole: size, SHA-256 and form are right."""
    from safetensors import SafetensorError, safe_open

    try:
        size = path.stat().st_size
        if remote.size not in (None, size):
            raise ValueError(f"it has {size} bytes, expected {remote.size}")
        if re.fullmatch("[0-9a-f]{64}", remote.version):  # else the hub announces none
            found = _sha256(path, beat)
            if found != remote.version:
                raise ValueError(
                    f"its SHA-256 is {found[:8]}..., the hub announces {remote.version[:8]}..."
                )
        if remote.name.endswith(".safetensors"):
            with safe_open(path, framework="pt"):
                pass
        elif remote.name.endswith(".json"):
            json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError, SafetensorError) as error:
        path.resolve().unlink(missing_ok=True)  # in the hub's cache, path is a link
        path.unlink(missing_ok=True)
        raise Damaged(
            f"what came is damaged or incomplete and was removed ({error}); run again"
        ) from error


def move_in(path: Path, target: Path) -> None:
    """Put a checked file in its place, at once and whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(MOVES):
        try:
            return os.replace(path, target)
        except PermissionError:
            if attempt == MOVES - 1:
                raise
            time.sleep(BEAT_SECONDS)


def _sha256(path: Path, beat: Beat) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(READ):
            beat()
            digest.update(piece)
    return digest.hexdigest()
