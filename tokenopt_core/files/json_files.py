"""JSON files that come with a model: small, and objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..checks import shown

MOST_BYTES = 16 * 2**20  # the longest in use, of a tokenizer's many special words, has 1 to 2 MiB


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        ValueError: no file, too large, no JSON, nested too deeply, or no object.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ValueError(
                f"{path} has {size / 2**20:.0f} MiB, expected at most {MOST_BYTES // 2**20}: it is "
                "no file of settings; get it again."
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
