"""Scenes and prompts of the experiments, from seeds that nothing else uses.

Training draws from small seeds, its measurements from 90001 to 90004. A problem set depends on its
split and chunk alone, so more images mean more chunks, never other ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from tokenopt_core.demo import ATTRIBUTES, Attributes, caption, render, sample
from tokenopt_core.demo.captions import compose

SPLITS = {"tuning": 610_000_000, "test": 820_000_000}
NAMES = list(ATTRIBUTES)
CHANGED = ("shape", "colour")
_CHUNK = 10_000  # seeds reserved for each chunk
_POOL = 970_000_000


@dataclass(frozen=True)
class Problems:
    """`n` scenes and what they should become.

    Args:
        images: (n, 3, 64, 64), the seeds.
        shown: what they show.
        wanted: what the result should show; of an edit, shape and colour differ from the seed's.
        holes: (n, 1, 64, 64), 1 = missing, for inpainting.
        seeds: one per image, for the optimization.
    """

    images: Tensor
    shown: Attributes
    wanted: Attributes
    holes: Tensor
    seeds: list[int]

    @property
    def captions(self) -> list[str]:
        """Full captions of `wanted`."""
        return texts(self.wanted)


def edits(split: str, chunk: int, size: int) -> Problems:
    """Another shape and another colour, everything else to be kept."""
    base = SPLITS[split] + _CHUNK * chunk
    start = sample(size, base)
    generator = torch.Generator().manual_seed(base + 1)
    shift = torch.randint(1, 8, (size, 2), generator=generator)
    indices = start.indices.clone()
    indices[:, :2] = (indices[:, :2] + shift) % 8
    return _problems(start, Attributes(indices), base)


def restorations(split: str, chunk: int, size: int) -> Problems:
    """The scene itself, a part of whose object is missing."""
    start = sample(size, SPLITS[split] + _CHUNK * chunk)
    return _problems(start, start, SPLITS[split] + _CHUNK * chunk)


@lru_cache(maxsize=2)
def pool(size: int) -> Tensor:
    """Images (size, 3, 64, 64) of scenes to choose seeds from, the same for all problems."""
    return render(sample(size, _POOL), _POOL + 1)


def _problems(start: Attributes, wanted: Attributes, base: int) -> Problems:
    seeds = [base + 1000 + i for i in range(len(start))]
    images = render(start, base + 2)
    return Problems(images, start, wanted, holes(start), seeds)


def texts(scenes: Attributes, short: bool = False) -> list[str]:
    """A caption of each scene; the short one names shape and colour: "a green star"."""
    if not short:
        return caption(scenes)
    return [compose(scene, keep=CHANGED) for scene in scenes.names()]


def holes(scenes: Attributes, size: int = 64) -> Tensor:
    """Masks (n, 1, size, size) that cover the right half of each scene's object, and some more."""
    position = scenes.indices[:, NAMES.index("position")]
    left = torch.tensor([-0.46, 0.0, 0.46])[position].view(-1, 1, 1)  # the object's centre, -1..1
    axis = (torch.arange(size) + 0.5) * (2 / size) - 1
    x, y = axis.view(1, 1, -1), axis.view(1, -1, 1)
    inside = (x >= left) & (x <= left + 0.56) & (y.abs() <= 0.62)
    return inside.float().unsqueeze(1)
