"""Prompts with weights and a schedule: `a red fox:1 | blurry:-0.4`, `a circle:1@0-0.5 | a star`.

Parts stand between `|` signs. A part may end in `:weight`, and behind its weight in `@start-end`,
the share of the run in which it counts. A colon without a number behind it belongs to the text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import zip_longest

import torch
from torch import Tensor

from ..checks import convert_fields, shortened
from ..guides.crop_encoder import CachedFeatures
from ..guides.guide import Guide

MAX_WEIGHT = 1000.0
LARGE_WEIGHT = 10.0  # usual ones are about 1; 30 silences every other part and loss
NAME_LENGTH = 24  # of a term, whose name is printed beside a curve

_SHARE = r"(?:\d+\.?\d*|\.\d+)"
_NUMBER = rf"[-+]?(?:{_SHARE}(?:e[-+]?\d+)?|nan|inf|infinity)"
_PART = re.compile(rf"(.*):\s*({_NUMBER})\s*(?:@([^:]*))?", re.DOTALL | re.IGNORECASE)
_RANGE = re.compile(rf"\s*({_SHARE})\s*-\s*({_SHARE})\s*")
_RANGE_ALONE = re.compile(rf"@\s*{_SHARE}\s*-\s*{_SHARE}$|:\s*@\s*[-\d.]*$")
_BRACKETS = re.compile(r"\([^()]*:\s*\d+\.?\d*\s*\)")
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
        convert_fields(self)
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


Prompt = str | Sequence[WeightedText]


class PromptTerm:
    """One text for all images, or one per image; None where an image has none."""

    def __init__(self, name: str, guide: Guide, parts: Sequence[WeightedText | None]):
        self.name, self.parts = name, list(parts)
        self.features = CachedFeatures(partial(_encode, guide, self.parts))  # (1 or b, e)

    def weights(self, progress: float, device: torch.device) -> Tensor:
        """What the similarity (b,) is multiplied with at this share of the run: (1 or b,)."""
        return _tensor(tuple(-p.weight_at(progress) if p else 0.0 for p in self.parts), device)


def parse_prompts(prompt: Prompt | Sequence[Prompt]) -> list[tuple[WeightedText, ...]]:
    """The parts of each prompt: of one for all images, or of one per image."""
    given = listed(prompt, "prompt", (str, WeightedText, list, tuple))
    if given and all(isinstance(part, WeightedText) for part in given):
        return [tuple(given)]
    for text in given:
        if not text or (isinstance(text, str) and not text.strip()):
            given = []
    if not given:
        raise ValueError(
            f"prompt is {prompt!r}: expected a text, or one per image, none of them empty."
        )
    return [
        parse_prompt(text)
        if isinstance(text, str)
        else tuple(listed(text, "prompt", (WeightedText,)))
        for text in given
    ]


def listed(prompt: object, name: str, kinds: tuple[type, ...] = (str,)) -> list:
    """What `prompt` lists, or itself alone if it is a text; `name` is for the message.

    Raises:
        ValueError: something in it is of none of these kinds.
    """
    given = [prompt] if isinstance(prompt, str) else prompt
    several = isinstance(given, list | tuple)
    wrong = [each for each in given if not isinstance(each, kinds)] if several else [given]
    if wrong:
        raise ValueError(
            f"{name}: found the type {type(wrong[0]).__name__}, expected a text, or one per image "
            "in a list."
        )
    return list(given)


def prompt_terms(
    guide: Guide, prompts: Sequence[Sequence[WeightedText]], name: str
) -> list[PromptTerm]:
    """One term for the first parts of all prompts, one for the second parts, and so on.

    A single part takes the loss's name alone. Others add their text, or their number where the
    images' texts differ.
    """
    columns = list(zip_longest(*prompts))
    names = [f"{name}: {_column_name(parts, n)}" for n, parts in enumerate(columns, 1)]
    names = names if len(columns) > 1 else [name]
    return [PromptTerm(n, guide, parts) for n, parts in zip(names, columns, strict=True)]


def prompt_remarks(
    prompts: Sequence[Sequence[WeightedText]],
    negative_texts: Sequence[str] = (),
    source_texts: Sequence[str] = (),
) -> list[str]:
    """Sentences about prompts that are allowed but are seldom meant, each once."""
    result = [
        f"the {kind} prompt {text!r} is read as plain text: put weights into the prompt, for "
        "example | blurry:-0.4."
        for kind, texts in (("negative", negative_texts), ("source", source_texts))
        for text in texts
        if looks_weighted(text)
    ]
    for parts in prompts:
        texts = " | ".join(part.text for part in parts)
        if not any(part.weight for part in parts):
            result.append(f"the prompt {texts!r} has only weights of 0, so it changes nothing.")
        elif all(part.weight <= 0 for part in parts):
            result.append(
                f"the prompt {texts!r} only says what to avoid: add what the image should show."
            )
        result += [
            f"the prompt part {part.text!r} has the weight {part.weight:g}, the number behind its "
            "last colon: where the colon belongs to the text, write :1 behind the number."
            for part in parts
            if part.perhaps_text
        ]
        for found in _BRACKETS.findall(texts):
            result.append(
                f"the prompt has {found}: brackets do not weight words here, write a part of its "
                "own such as | blue sky:1.2 |."
            )
    return list(dict.fromkeys(result))


def _encode(guide: Guide, parts: Sequence[WeightedText | None]) -> Tensor:
    """Features of every part's text (1 or b, e), zeros where there is none."""
    rows = [row for row, part in enumerate(parts) if part]
    texts = guide.encode_text([parts[row].text for row in rows])
    features = texts.new_zeros(len(parts), texts.shape[1])
    features[rows] = texts
    return features


def _column_name(parts: Sequence[WeightedText | None], number: int) -> str:
    texts = {part.text if part else None for part in parts}
    if len(texts) > 1:
        return f"part {number}"
    text = " ".join(texts.pop().split())
    return shortened(text, NAME_LENGTH)


@lru_cache(maxsize=64)
def _tensor(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Weights on the device; a schedule has few different ones, so they are sent once."""
    with torch.inference_mode(False):
        return torch.tensor(values, device=device)
