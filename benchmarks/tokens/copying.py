"""Copies of tokens between scenes, and their outcome, by the judge.

Axes: b scenes, m pairs, n tokens, d token size.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from tokenopt_core import Tokenizer
from tokenopt_core.demo import ATTRIBUTES, Attributes, render, sample

from ..scenes import NAMES, Outcome, encode, judged, outcome, quantize


class Cell(NamedTuple):
    """An attribute and the direction of its change; of an attribute with more than two values any
    change counts, and both values are None."""

    name: str
    before: int | None = None
    after: int | None = None

    @property
    def label(self) -> str:
        if self.before is None:
            return self.name
        values = ATTRIBUTES[self.name]
        return f"{values[self.before]} → {values[self.after]}"


CELLS = [
    cell
    for name, values in ATTRIBUTES.items()
    for cell in ([Cell(name, 0, 1), Cell(name, 1, 0)] if len(values) == 2 else [Cell(name)])
]


@dataclass(frozen=True)
class Scenes:
    """Scenes as a tokenizer holds them.

    Args:
        rows: (b, 8) attributes.
        tokens: (b, n, d), quantized.
        good: (b,) bool: the judge sees a valid scene with all eight attributes in the
            reconstruction.
    """

    rows: Tensor
    tokens: Tensor
    good: Tensor


def draw_scenes(tokenizer: Tokenizer, count: int, seed: int) -> Scenes:
    """`count` scenes that `seed` alone decides."""
    return tokenized(tokenizer, sample(count, seed), seed)


def tokenized(tokenizer: Tokenizer, drawn: Attributes, seed: int) -> Scenes:
    """The scenes with these attributes; place, scale, tilt and tint come from the seed, so that the
    same seed with other attributes gives their twins."""
    tokens = quantize(tokenizer, encode(tokenizer, render(drawn, seed + 1)))
    seen, valid = judged(tokenizer, tokens)
    return Scenes(drawn.indices, tokens, (seen == drawn.indices).all(1) & valid)


def pairs(scenes: Scenes, cell: Cell, most: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Targets (m,) and references (m,), well reconstructed, that differ in the cell's attribute;
    no scene is twice a target or twice a reference."""
    generator = torch.Generator().manual_seed(seed)
    values = scenes.rows[:, NAMES.index(cell.name)]
    order = torch.randperm(len(values), generator=generator)
    order = order[scenes.good[order]].tolist()
    free = torch.tensor(order)[torch.randperm(len(order), generator=generator)].tolist()
    targets, references = [], []
    for target in order:
        if cell.before is not None and values[target] != cell.before:
            continue
        fits = (k for k in free if values[k] != values[target])
        reference = next(fits, None)
        if reference is None or len(targets) == most:
            break
        free.remove(reference)
        targets.append(target)
        references.append(reference)
    return torch.tensor(targets), torch.tensor(references)


def copied(
    tokenizer: Tokenizer,
    cell: Cell,
    target: Scenes,
    reference: Scenes,
    chosen: tuple[Tensor, Tensor],
    positions: Collection[int],
    fast: bool = False,
) -> Outcome:
    """What the judge sees when the tokens at `positions` come from the reference.

    Args:
        chosen: pairs, as rows of `target` and of `reference`.
        fast: judge in bfloat16, to choose positions by; not for figures.
    """
    targets, references = chosen
    edited = target.tokens[targets].clone()
    places = sorted(positions)
    edited[:, places] = reference.tokens[references][:, places]
    value = reference.rows[references, NAMES.index(cell.name)]
    return outcome(tokenizer, edited, cell.name, value, target.rows[targets], fast)


def merged(cell_outcomes: Sequence[Outcome]) -> Outcome:
    """The pairs of several cells as one."""
    return Outcome(*(sum(parts, []) for parts in zip(*cell_outcomes, strict=True)))
