"""Random numbers from one CPU generator per image: batch mates and devices never change them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

_SEEDS = 2**64  # what torch's generators take
_STREAM = (
    0x9E3779B97F4A7C15  # odd constant (golden ratio): keeps the streams of neighbouring seeds apart
)


def image_seeds(seeds: int | Sequence[int], count: int) -> list[int]:
    """One seed per image: an integer s means s, s + 1, ...; a sequence needs `count` entries."""
    if isinstance(seeds, int):
        return [(seeds + i) % _SEEDS for i in range(count)]
    seeds = [int(seed) % _SEEDS for seed in seeds]
    if len(seeds) != count:
        raise ValueError(f"seeds has {len(seeds)} entries for {count} images: give one per image.")
    return seeds


def generators(seeds: Sequence[int], stream: int = 0) -> list[Generator]:
    """One CPU generator per seed; another `stream` gives independent numbers for the same seed."""
    return [torch.Generator().manual_seed((s + stream * _STREAM) % _SEEDS) for s in seeds]


def normal(sources: Sequence[Generator], shape: Sequence[int]) -> Tensor:
    """Standard normal numbers (len(sources), *shape) on the CPU, row i from source i."""
    return torch.stack([torch.randn(*shape, generator=source) for source in sources])


def uniform(sources: Sequence[Generator], shape: Sequence[int]) -> Tensor:
    """Uniform numbers in [0, 1) (len(sources), *shape) on the CPU, row i from source i."""
    return torch.stack([torch.rand(*shape, generator=source) for source in sources])
