"""A pool of rendered scenes in memory, so that the trainers do not wait for the renderer."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from tokenopt_core.demo import world as flat_world
from tokenopt_core.demo.world import Attributes


class ScenePool:
    """Scenes as uint8 images (n, 3, s, s) with their attribute indices (n, attributes)."""

    def __init__(self, images: Tensor, indices: Tensor):
        self.images = images
        self.indices = indices

    def batch(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images (n, 3, s, s) in [0, 1] and indices (n, attributes), drawn with replacement."""
        rows = torch.randint(len(self.indices), (n,), generator=generator)
        return self.images[rows].float() / 255, self.indices[rows]

    @classmethod
    def render(cls, n: int, seed: int, chunk: int = 500, world=flat_world) -> ScenePool:
        """A pool of `n` fresh scenes of a module `world`."""
        generator = torch.Generator().manual_seed(seed)
        images, indices = [], []
        for start in tqdm(range(0, n, chunk), desc="render scenes", unit_scale=chunk):
            attributes = world.sample_attributes(min(chunk, n - start), generator)
            images.append((world.render_scenes(attributes, generator) * 255).round().byte())
            indices.append(attributes.indices)
        return cls(torch.cat(images), torch.cat(indices))

    @classmethod
    def cached(cls, path: Path, n: int, seed: int, world=flat_world) -> ScenePool:
        """The pool saved at `path`; rendered and saved first when it is not there."""
        if path.exists():
            saved = torch.load(path, weights_only=True)
            return cls(saved["images"], saved["indices"])
        pool = cls.render(n, seed, world=world)
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
