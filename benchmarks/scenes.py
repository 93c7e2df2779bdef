"""Scenes of the demo world as a tokenizer holds them, and what the judge reads in them.

Axes: b scenes, n tokens, d token size.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from tokenopt_core import Tokenizer
from tokenopt_core.demo import ATTRIBUTES, judge

NAMES = list(ATTRIBUTES)
BATCH = 64
GOOD_SHARE = 0.7  # of scenes that are surely well reconstructed, to draw enough of them


class Outcome(NamedTuple):
    """Of each edited scene: the judge sees the new value of the attribute; share of the seven
    other attributes that are kept; the judge calls it a scene."""

    changed: list[bool]
    kept: list[float]
    valid: list[bool]


@torch.no_grad()
def encode(tokenizer: Tokenizer, images: Tensor) -> Tensor:
    """Features (b, n, d)."""
    return torch.cat([tokenizer.encode(chunk) for chunk in images.split(BATCH)])


@torch.no_grad()
def quantize(tokenizer: Tokenizer, features: Tensor) -> Tensor:
    """Tokens (b, n, d)."""
    return torch.cat([tokenizer.quantize(chunk).tokens for chunk in features.split(BATCH)])


@torch.no_grad()
def decode(tokenizer: Tokenizer, tokens: Tensor) -> Iterator[Tensor]:
    """Images (up to BATCH, 3, 64, 64) in [0, 1], chunk by chunk."""
    for chunk in tokens.split(BATCH):
        yield tokenizer.decode(chunk).clamp(0, 1)


def judged(tokenizer: Tokenizer, tokens: Tensor, fast: bool = False) -> tuple[Tensor, Tensor]:
    """What the judge sees (b, 8), and whether it sees a scene (b,).

    Args:
        fast: judge in bfloat16, to choose by; not for figures.
    """
    seen, valid = [], []
    for images in decode(tokenizer, tokens):
        with torch.autocast("cpu", torch.bfloat16) if fast else nullcontext():
            verdict = judge(images)
        seen.append(verdict.indices)
        valid.append(verdict.valid > 0.5)
    return torch.cat(seen), torch.cat(valid)


def outcome(
    tokenizer: Tokenizer,
    tokens: Tensor,
    name: str,
    value: Tensor | int,
    before: Tensor,
    fast: bool = False,
) -> Outcome:
    """What the judge sees in edited `tokens` (b, n, d).

    Args:
        name: the attribute that was to become `value`, one for all or (b,).
        before: (b, 8), the attributes of the scenes before the edit.
    """
    seen, valid = judged(tokenizer, tokens, fast)
    column = NAMES.index(name)
    same = (seen == before).float()
    same[:, column] = 0
    kept = same.sum(1) / (len(NAMES) - 1)
    return Outcome((seen[:, column] == value).tolist(), kept.tolist(), valid.tolist())
