"""Token positions that are known to carry a property, by tokenizer.

titok-l32: as reported by arXiv 2506.08257, section 3.1. demo: measured, see docs/science/tokens.md;
copying the tokens at the positions carries the property over in at least 80 % of judged scenes,
which a test holds.
"""

from __future__ import annotations

from types import MappingProxyType

from ..tokenizers.registry import DEMO

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
