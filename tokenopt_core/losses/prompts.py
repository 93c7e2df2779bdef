"""Prompts with weights and a schedule: `a red fox:1 | blurry:-0.4`, `a circle:1@0-0.5 | a star`.

Parts stand between `|` signs. A part may end in `:weight`, and behind its weight in `@start-end`,
the share of the run in which it counts. A colon without a number behind it belongs to the text.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from ..kinds import hold_plain

MAX_WEIGHT = 1000.0
LARGE_WEIGHT = 10.0  # usual ones are about 1; 30 silences every other part and loss

_SHARE = r"(?:\d+\.?\d*|\.\d+)"
_NUMBER = rf"[-+]?(?:{_SHARE}(?:e[-+]?\d+)?|nan|inf|infinity)"
_PART = re.compile(rf"(.*):\s*({_NUMBER})\s*(?:@([^:]*))?", re.DOTALL | re.IGNORECASE)
_RANGE = re.compile(rf"\s*({_SHARE})\s*-\s*({_SHARE})\s*")
_RANGE_ALONE = re.compile(rf"@\s*{_SHARE}\s*-\s*{_SHARE}$|:\s*@\s*[-\d.]*$")
_DECIMAL_COMMA = re.compile(r":\s*[-+]?\d+,\d+\s*(?:@.*)?$", re.DOTALL)


@dataclass(frozen=True)
class WeightedText:
    """One part of a prompt.

    Args:
        text: what the guide reads.
        weight: -1000 to 1000; images move towards a text of positive weight, away from others.
        start, end: shares of the run, 0 <= start < end <= 1. The part counts from `start` to
            before `end`, so that of two parts that meet only one counts; with 1 to the last step.
        written: the part of a prompt that was read as this, if any.

    Raises:
        ValueError: anything else; the message names the text.
    """

    text: str
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    written: str = field(default="", repr=False, compare=False)

    def __post_init__(self):
        hold_plain(self)
        if not isinstance(self.text, str) or not self.text.strip():
            raise ValueError(f"a prompt part has the text {self.text!r}: expected some words.")
        if not math.isfinite(self.weight) or abs(self.weight) > MAX_WEIGHT:
            raise ValueError(
                f"the prompt part {self.text!r} has the weight {self.weight:g}: expected a number "
                f"from {-MAX_WEIGHT:g} to {MAX_WEIGHT:g}; where the colon belongs to the text, "
                "write :1 behind the number."
            )
        if not 0 <= self.start < self.end <= 1:
            raise ValueError(
                f"the prompt part {self.text!r} counts from {self.start:g} to {self.end:g}: "
                "expected two shares of the run from 0 to 1, the smaller one first, for example "
                "@0-0.5 for its first half."
            )

    @property
    def perhaps_text(self) -> bool:
        """Whether the colon of its weight may have been meant as text: 12:30, year: 1000."""
        touching = self.written.startswith(f"{self.text}:") and self.text[-1].isdigit()
        clock = touching and not _PART.fullmatch(self.text)  # that is 12:30:1, said on purpose
        return clock or bool(self.written and abs(self.weight) > LARGE_WEIGHT)

    def weight_at(self, progress: float) -> float:
        """The weight at a share of the run from 0 to 1; 0 out of the part's range."""
        counts = self.start <= progress < self.end or self.end == 1 <= progress
        return self.weight if counts else 0.0


def parse_prompt(text: str) -> tuple[WeightedText, ...]:
    """The parts of a prompt, in order; text without `|` and `:number` is one part of weight 1.

    Raises:
        ValueError: a part has no text, no usable weight or no usable range; the message quotes it.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"prompt is {text!r}: expected a text.")
    return tuple(_parse_part(part.strip(), text) for part in text.split("|"))


def looks_weighted(text: str) -> bool:
    """Whether a plain text has what `parse_prompt` would read as parts or a weight."""
    return "|" in text or bool(_PART.fullmatch(text.strip()))


def _parse_part(part: str, prompt: str) -> WeightedText:
    found = _PART.fullmatch(part)
    text, weight, span = found.groups() if found else (part, "1", None)
    if not text.strip():
        raise ValueError(
            f"the prompt {prompt!r} has a part without text: put words before each weight and "
            "between each two | signs."
        )
    if not found and _DECIMAL_COMMA.search(part):
        raise ValueError(
            f"the prompt part {part!r} has a weight with a comma: write a point, for example :0.5."
        )
    if not found and _RANGE_ALONE.search(part):
        raise ValueError(
            f"the prompt part {part!r} has a range but no weight: write both, for example "
            "'a circle:1@0-0.5'."
        )
    start, end = (0.0, 1.0) if span is None else _parse_range(span, part)
    return WeightedText(text.strip(), float(weight), start, end, part)


def _parse_range(span: str, part: str) -> tuple[float, float]:
    found = _RANGE.fullmatch(span)
    if not found:
        raise ValueError(
            f"the prompt part {part!r} has the range {span.strip()!r}: expected two shares of the "
            "run from 0 to 1, for example @0-0.5 for its first half."
        )
    return float(found[1]), float(found[2])
