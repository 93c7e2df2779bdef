"""A pool of rendered scenes in memory, so that the trainers do not wait for the renderer."""

from __future__ import annotations

import importlib
import os
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from tokenopt_core.demo import world as flat_world
from tokenopt_core.demo.world import Attributes

from .processes import own


class ScenePool:
    """Scenes as uint8 images (n, 3, s, s) with their attribute indices (n, attributes)."""

    def __init__(self, images: Tensor, indices: Tensor):
        self.images = images
        self.indices = indices

    def to(self, device: str | torch.device) -> ScenePool:
        """The pool on another device, whose batches then are there."""
        return ScenePool(self.images.to(device), self.indices.to(device))

    def batch(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images (n, 3, s, s) in [0, 1] and indices (n, attributes), drawn with replacement.

        Of several processes each gets its share of the `n` scenes.
        """
        rows = own(torch.randint(len(self.indices), (n,), generator=generator))
        return self.images[rows].float() / 255, self.indices[rows]

    @classmethod
    def render(cls, n: int, seed: int, chunk: int = 500) -> ScenePool:
        """A pool of `n` fresh scenes."""
        generator = torch.Generator().manual_seed(seed)
        images, indices = [], []
        for start in tqdm(range(0, n, chunk), desc="render scenes", unit_scale=chunk):
            attributes = flat_world.sample_attributes(min(chunk, n - start), generator)
            images.append((flat_world.render_scenes(attributes, generator) * 255).round().byte())
            indices.append(attributes.indices)
        return cls(torch.cat(images), torch.cat(indices))

    @classmethod
    def render_parallel(cls, n: int, seed: int, world, chunk: int = 256) -> ScenePool:
        """A pool of `n` fresh scenes from one process for each core; the same for any number."""
        sizes = [min(chunk, n - start) for start in range(0, n, chunk)]
        jobs = [(size, seed + 7919 * number, world.__name__) for number, size in enumerate(sizes)]
        if len(jobs) == 1:
            parts = [_render_chunk(*jobs[0])]
        else:
            with get_context("spawn").Pool(os.cpu_count(), _one_thread) as processes:
                parts = processes.starmap(_render_chunk, tqdm(jobs, desc="render scenes"), 1)
        images, indices = zip(*parts, strict=True)
        return cls(
            torch.from_numpy(np.concatenate(images)), torch.from_numpy(np.concatenate(indices))
        )

    @classmethod
    def cached(cls, path: Path, n: int, seed: int, world=flat_world) -> ScenePool:
        """The pool saved at `path`; rendered and saved first when it is not there."""
        if path.exists():
            saved = torch.load(path, weights_only=True)
            return cls(saved["images"], saved["indices"])
        flat = world is flat_world
        pool = cls.render(n, seed) if flat else cls.render_parallel(n, seed, world)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        torch.save({"images": pool.images, "indices": pool.indices}, partial)
        partial.replace(path)
        return pool

    def merged(self, other: ScenePool, share: float) -> ScenePool:
        """Both pools in one; a random image comes from `other` with probability `share`."""
        rest = min(len(self.indices), round(len(other.indices) * (1 - share) / share))
        images = torch.cat([self.images[:rest], other.images])
        return ScenePool(images, torch.cat([self.indices[:rest], other.indices]))

    def attributes(self) -> Attributes:
        """The attributes of the whole pool."""
        return Attributes(self.indices)


def _one_thread() -> None:
    torch.set_num_threads(1)


def _render_chunk(n: int, seed: int, world: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, s, s) in uint8 and indices of `n` scenes of the module named `world`."""
    module = importlib.import_module(world)
    generator = torch.Generator().manual_seed(seed)
    attributes = module.sample_attributes(n, generator)
    images = (module.render_scenes(attributes, generator) * 255).round().byte()
    return images.numpy(), attributes.indices.numpy()
