"""What happens to a scene when some of its tokens are another scene's, by the judge.

Axes: b scenes, m pairs, n tokens, d token size.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from tokenopt_core import Tokenizer
from tokenopt_core.demo import ATTRIBUTES, Attributes, judge, render, sample

NAMES = list(ATTRIBUTES)
BATCH = 64


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


class Outcome(NamedTuple):
    """Of each pair: the judge sees the reference's value; share of the seven others that are the
    target's; the judge calls it a scene."""

    changed: list[bool]
    kept: list[float]
    valid: list[bool]


def scenes(tokenizer: Tokenizer, count: int, seed: int, fast: bool = False) -> Scenes:
    """`count` scenes that `seed` alone decides."""
    drawn = sample(count, seed)
    return hold(tokenizer, drawn, seed, fast)


@torch.no_grad()
def hold(tokenizer: Tokenizer, drawn: Attributes, seed: int, fast: bool = False) -> Scenes:
    """The scenes with these attributes; place, scale, tilt and tint come from the seed, so that the
    same seed with other attributes gives their twins."""
    images = render(drawn, seed + 1)
    tokens = torch.cat(
        [tokenizer.quantize(tokenizer.encode(x)).tokens for x in images.split(BATCH)]
    )
    seen, valid = _judged(tokenizer, tokens, fast)
    return Scenes(drawn.indices, tokens, (seen == drawn.indices).all(1) & valid)


def pairs(held: Scenes, cell: Cell, most: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Targets (m,) and references (m,), well reconstructed, that differ in the cell's attribute;
    no scene is twice a target or twice a reference."""
    generator = torch.Generator().manual_seed(seed)
    values = held.rows[:, NAMES.index(cell.name)]
    order = torch.randperm(len(values), generator=generator)
    order = order[held.good[order]].tolist()
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


@torch.no_grad()
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
    seen, valid = _judged(tokenizer, edited, fast)
    column = NAMES.index(cell.name)
    changed = seen[:, column] == reference.rows[references, column]
    same = (seen == target.rows[targets]).float()
    same[:, column] = 0
    return Outcome(changed.tolist(), (same.sum(1) / (len(NAMES) - 1)).tolist(), valid.tolist())


def images_of(tokenizer: Tokenizer, tokens: Tensor) -> Iterator[Tensor]:
    """Decoded images (up to BATCH, 3, 64, 64) in [0, 1], a few at a time."""
    for chunk in tokens.split(BATCH):
        yield tokenizer.decode(chunk).clamp(0, 1)


def _judged(tokenizer: Tokenizer, tokens: Tensor, fast: bool) -> tuple[Tensor, Tensor]:
    """What the judge sees (b, 8), and whether it sees a scene (b,)."""
    seen, valid = [], []
    for images in images_of(tokenizer, tokens):
        with torch.autocast("cpu", torch.bfloat16) if fast else nullcontext():
            found = judge(images)
        seen.append(found.indices)
        valid.append(found.valid > 0.5)
    return torch.cat(seen), torch.cat(valid)


def merged(cell_outcomes: Sequence[Outcome]) -> Outcome:
    """The pairs of several cells as one."""
    return Outcome(*(sum(parts, []) for parts in zip(*cell_outcomes, strict=True)))
