"""Choice of positions for an attribute: by equation 1 of arXiv 2506.08257, or by trying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tokenopt_core import Guide, Tokenizer
from tokenopt_core.demo import ATTRIBUTES, Attributes, render
from tokenopt_core.demo.captions import compose
from tokenopt_core.images.fit import fit_images
from tokenopt_core.study.importance import Importance, importance

from ..scenes import NAMES
from .copying import CELLS, Scenes, copied, merged, pairs

MOST = 5  # positions of a greedy set
CANDIDATES = 6  # positions that greedy search may add, the best alone
SMALLEST_GAIN = 0.01  # of the score, for one more position


class Choice(NamedTuple):
    """Positions for one attribute.

    Args:
        scores: of equation 1 with the true classes, one per position.
        by_class: the position that equation 1 names with the true classes.
        by_clip: the same with CLIP's partition.
        agreement: share of scenes that CLIP puts into the right class.
        single: the best single position by copying.
        greedy: the set that greedy search arrives at.
    """

    scores: list[float]
    chance: float
    by_class: int
    by_clip: int
    agreement: float
    single: int
    greedy: list[int]


def by_equation(scenes: Scenes, classes: Tensor, name: str) -> Importance:
    """Equation 1 for a partition (b,) of the scenes by an attribute."""
    return importance(scenes.tokens, classes, len(ATTRIBUTES[name]))


@torch.no_grad()
def clip_features(guide: Guide, scenes: Scenes, seed: int) -> Tensor:
    """CLIP's features (b, e) of the scenes that were drawn from the seed."""
    images = render(Attributes(scenes.rows), seed + 1)
    fitted = (fit_images(chunk, guide.image_size) for chunk in images.split(128))
    return torch.cat([guide.encode_image(chunk) for chunk in fitted])


def clip_classes(guide: Guide, features: Tensor, name: str) -> Tensor:
    """The partition (b,) by CLIP, between one caption for each value that names nothing else."""
    captions = [compose({name: value}, [name]) for value in ATTRIBUTES[name]]
    return (features @ guide.encode_text(captions).T).argmax(1)


def by_trying(tokenizer: Tokenizer, scenes: Scenes, name: str, most: int) -> tuple[int, list[int]]:
    """The best single position, and a greedy set, by what copying does to `most` pairs."""
    cells = [cell for cell in CELLS if cell.name == name]
    chosen = [pairs(scenes, cell, most // len(cells)) for cell in cells]

    def score(positions: Sequence[int]) -> float:
        outcomes = (
            copied(tokenizer, cell, scenes, scenes, pair, positions, fast=True)
            for cell, pair in zip(cells, chosen, strict=True)
        )
        together = merged(list(outcomes))
        return _mean(together.changed) + _mean(together.kept)

    alone = {k: score([k]) for k in range(scenes.tokens.shape[1])}
    order = sorted(alone, key=lambda k: -alone[k])
    best, greedy = alone[order[0]], [order[0]]
    while len(greedy) < MOST:
        trials = {k: score([*greedy, k]) for k in order[:CANDIDATES] if k not in greedy}
        k = max(trials, key=trials.get)
        if trials[k] < best + SMALLEST_GAIN:
            break
        best, greedy = trials[k], [*greedy, k]
    return order[0], greedy


def choose(tokenizer: Tokenizer, scenes: Scenes, classes: Tensor, name: str, most: int) -> Choice:
    """All choices for one attribute.

    Args:
        tokenizer: to try with; half precision is good enough.
        scenes: for the statistics and the pairs, none of them measured on later.
        classes: (b,) by CLIP.
        most: pairs to try each set on.
    """
    true = by_equation(scenes, scenes.rows[:, NAMES.index(name)], name)
    clip = by_equation(scenes, classes, name)
    single, greedy = by_trying(tokenizer, scenes, name, most)
    return Choice(
        scores=[round(score, 4) for score in true.scores.tolist()],
        chance=round(true.chance, 4),
        by_class=true.best(1)[0],
        by_clip=clip.best(1)[0],
        agreement=round(_mean((classes == scenes.rows[:, NAMES.index(name)]).tolist()), 4),
        single=single,
        greedy=greedy,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
