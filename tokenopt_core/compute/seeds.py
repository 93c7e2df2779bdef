"""Random numbers from one CPU generator per image: batch mates and devices never change them."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Generator, Tensor

from ..checks import shown

_SEEDS = 2**64  # as in ComfyUI

# One stream for each use of a seed, so that the same seed in two places means independent numbers.
START_STREAM, CROP_STREAM, NOISE_STREAM, SAMPLE_STREAM = range(4)
VARY_STREAM, RETRIEVAL_STREAM, GENERATE_STREAM = range(4, 7)


def image_seeds(seeds: int | Sequence[int], count: int) -> list[int]:
    """One seed per image: an integer s means s, s + 1, ...; a sequence needs `count` entries."""
    if isinstance(seeds, Integral):  # of numpy too, whose sums would overflow
        return [(int(seeds) + i) % _SEEDS for i in range(count)]
    seeds = [_whole(seed) % _SEEDS for seed in seeds]
    if len(seeds) != count:
        raise ValueError(f"seeds has {len(seeds)} entries for {count} images: give one per image.")
    return seeds


def generators(seeds: Sequence[int], stream: int = START_STREAM) -> list[Generator]:
    """One CPU generator per seed; another `stream` gives independent numbers for the same seed."""
    if not len(seeds):
        raise ValueError("seeds has no entry: give one per image.")
    return [torch.Generator().manual_seed(_mixed(_whole(seed), stream)) for seed in seeds]


def normal(sources: Sequence[Generator], shape: Sequence[int]) -> Tensor:
    """Standard normal numbers (len(sources), *shape) on the CPU, row i from source i."""
    return torch.stack([torch.randn(*shape, generator=source) for source in sources])


def uniform(sources: Sequence[Generator], shape: Sequence[int]) -> Tensor:
    """Uniform numbers in [0, 1) (len(sources), *shape) on the CPU, row i from source i."""
    return torch.stack([torch.rand(*shape, generator=source) for source in sources])


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A small CPU tensor on `device`, without waiting for the work that is queued there."""
    return tensor.to(device, non_blocking=True)


def _whole(seed: object) -> int:
    if not isinstance(seed, Integral):
        raise ValueError(f"seeds has {shown(seed)}, expected whole numbers.")
    return int(seed)


def _mixed(seed: int, stream: int) -> int:
    """All 64 bits of the seed in the 32 that torch's CPU generator reads (it drops the upper half).

    The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
    """
    mixed = (seed + (stream + 1) * 0x9E3779B97F4A7C15) % _SEEDS
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % _SEEDS
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % _SEEDS
    return (mixed ^ (mixed >> 31)) % 2**32
