"""Token positions: parsed from text such as "18, 31" or "all", and presets of known properties."""

from __future__ import annotations

import re
from types import MappingProxyType

from ..checks import shortened
from ..tokenizers.registry import DEMO

ALL = "all"
PRESETS = MappingProxyType(
    {
        "titok-l32": {
            "lighting": (31,),
            "blur": (18,),
            "sharpness": (12,),
            "colourization": (12, 24, 27),
            "pose": (21,),
        },
        DEMO: {
            "lighting": (6,),
            "blur": (15,),
            "object position": (8, 9),
        },
    }
)
PROPERTIES = tuple(dict.fromkeys(name for known in PRESETS.values() for name in known))
_RANGE = re.compile(r"([0-9]+)(?:\s*-\s*([0-9]+))?")


def parse_positions(text: str, num_tokens: int, name: str = "positions") -> list[int]:
    """Sorted token positions of a text such as "18, 31", "0-3, 7" (both ends included) or "all".

    Args:
        name: of the input, for messages.

    Raises:
        ValueError: not of this form, or a position outside 0 to num_tokens - 1.
    """
    if text.strip().lower() == ALL:
        return list(range(num_tokens))
    parts = [part.strip() for part in re.split(r"[,;\n]|(?<=\d)\s+(?=\d)", text) if part.strip()]
    matches = [_RANGE.fullmatch(part) for part in parts]
    if not parts or None in matches:
        raise ValueError(
            f"{name} is {shortened(text)!r}, expected whole numbers and ranges such as '18, 31' or "
            f"'0-3, 7', or 'all'; a position is a token from 0 to {num_tokens - 1}."
        )
    positions: set[int] = set()
    for part, match in zip(parts, matches, strict=True):
        if len(part) > 20 or not int(match[1]) <= int(match[2] or match[1]) < num_tokens:
            raise ValueError(
                f"{name} contains {shortened(part)!r}, expected tokens from 0 to {num_tokens - 1}, "
                "the smaller end of a range first."
            )
        positions.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return sorted(positions)


def preset_positions(preset: str, *names: str) -> tuple[int, ...]:
    """The positions of a property.

    Args:
        names: of the tokenizer: as loaded, and as its files call it.

    Raises:
        ValueError: nothing is known for this tokenizer, or not this property.
    """
    known = next((PRESETS[name] for name in names if name in PRESETS), None)
    if known is None:
        raise ValueError(
            f"preset: no positions are known for the tokenizer {names[0]!r}, only for "
            f"{' and '.join(PRESETS)}; find some with Token Importance, or type positions."
        )
    if preset not in known:
        raise ValueError(
            f"preset is {preset!r}, which is not known for the tokenizer {names[0]!r}; it has: "
            f"{', '.join(known)}."
        )
    return known[preset]
