"""Prompts of a batch as terms of a loss: one curve per part, with its weights and features.

Axes: b images (1 where one prompt serves all), e embedding size.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import zip_longest

import torch
from torch import Tensor

from ..guides.guide import Guide
from ..guides.views import FixedFeatures
from .prompts import WeightedText, looks_weighted, parse_prompt

Prompt = str | Sequence[WeightedText]

_NAME_LENGTH = 24  # a term's name is printed beside a curve
_BRACKETS = re.compile(r"\([^()]*:\s*\d+\.?\d*\s*\)")


class PromptTerm:
    """One text for all images, or one per image; None where an image has none."""

    def __init__(self, name: str, guide: Guide, parts: Sequence[WeightedText | None]):
        self.name, self.parts = name, list(parts)
        self.features = FixedFeatures(partial(_encode, guide, self.parts))  # (1 or b, e)

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
    prompts: Sequence[Sequence[WeightedText]], negative_texts: Sequence[str] = ()
) -> list[str]:
    """Sentences about prompts that are allowed but are seldom meant, each once."""
    result = [
        f"the negative prompt {text!r} is read as plain text: put weights into the prompt, for "
        "example | blurry:-0.4."
        for text in negative_texts
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
    return text if len(text) <= _NAME_LENGTH else text[: _NAME_LENGTH - 3].rstrip() + "..."


@lru_cache(maxsize=64)
def _tensor(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Weights on the device; a schedule has few different ones, so they are sent once."""
    with torch.inference_mode(False):
        return torch.tensor(values, device=device)
