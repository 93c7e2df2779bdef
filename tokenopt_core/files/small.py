"""Small files, safetensors and JSON: read whole and checked, written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..checks import shown

MOST_BYTES = 64 * 2**20
MOST_JSON_BYTES = 16 * 2**20  # the longest in use, a tokenizer's special words, has 1 to 2 MiB
PARTIAL, STALE_SECONDS = ".tokenopt-partial", 86_400
MOVES, MOVE_PAUSE = 10, 0.2  # on Windows a virus scanner may still hold a new file for a moment


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a file: the whole of it or, on an error, none."""
    from safetensors.torch import save

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_whole(path, save(contiguous, metadata))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file: the whole of it or, on an error or the end of this process, none.

    A killed process can leave a hidden file beside it; the next write there, a day later or more,
    removes that.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        partial.write_bytes(content)
        move_into_place(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    for left in path.parent.glob(f".*{PARTIAL}"):
        with contextlib.suppress(OSError):  # another process was quicker
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                left.unlink()


def move_into_place(path: Path, target: Path) -> None:
    """Put a finished file in its place, at once and whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(MOVES):
        try:
            return os.replace(path, target)
        except PermissionError:
            if attempt == MOVES - 1:
                raise
            time.sleep(MOVE_PAUSE)


def read_tensors(path: Path, most_bytes: int = MOST_BYTES) -> tuple[dict, dict[str, Tensor]]:
    """Metadata and tensors of a file; it may change or go away afterwards.

    Raises:
        ValueError: too large, damaged, not readable or of another kind; one sentence that names it.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        size = path.stat().st_size
        if size > most_bytes:
            raise ValueError(
                f"file {path.name!r} has {size / 2**20:.0f} MiB, expected at most "
                f"{most_bytes / 2**20:.0f}; it is no file of this kind: choose another."
            )
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"file {path.name!r} cannot be read ({error.strerror}); choose another."
        ) from error
    try:
        tensors = load(content)  # checks the header before it believes it
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"file {path.name!r} is damaged or no safetensors file; save or copy it again."
        ) from error
    return header.get("__metadata__") or {}, tensors


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        ValueError: no file, too large, no JSON, nested too deeply, or no object.
    """
    try:
        size = path.stat().st_size
        if size > MOST_JSON_BYTES:
            raise ValueError(
                f"{path} has {size / 2**20:.0f} MiB, expected at most "
                f"{MOST_JSON_BYTES // 2**20}: it is no file of settings; get it again."
            )
        text = path.read_text(encoding="utf-8-sig")  # Windows editors write a BOM
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not valid JSON ({error}): get it again.") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): get it again.") from error
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply to be settings: get it again.") from error
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}): get it again.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds {shown(content)}, expected a JSON object.")
    return content
