"""Small safetensors files that people exchange: read whole, checked, and written whole or not."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

MOST_BYTES = 64 * 2**20


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a file: the whole of it or, on an error, none."""
    from safetensors.torch import save

    content = save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, metadata)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


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
