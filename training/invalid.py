"""Images that are not scenes of the demo world, which the judge must learn to refuse."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tokenopt_core.demo.world import render_scenes, sample_attributes


def invalid_images(scenes: Tensor, spoiled: Tensor, generator: torch.Generator) -> Tensor:
    """Images (n, 3, h, w) that show no valid scene.

    Eight kinds at random: a wrong number of objects (twice as often), two scenes mixed, shuffled
    patches, noise, clouds, blobs, a scene under strong noise, a scene pulled apart.

    Args:
        scenes: (n, 3, h, w) valid scenes, from which most kinds are made.
        spoiled: (m, 3, h, w) scenes with no object or two, see `miscounted_scenes`.
    """
    kind = torch.randint(len(_MAKERS) + 2, (len(scenes),), generator=generator)
    drawn = torch.randint(len(spoiled), (len(scenes),), generator=generator)
    images = spoiled[drawn].float() / 255 if spoiled.dtype == torch.uint8 else spoiled[drawn]
    for index, make in enumerate(_MAKERS):
        rows = (kind == index).nonzero().flatten()
        if len(rows):
            others = scenes[torch.randint(len(scenes), (len(rows),), generator=generator)]
            images[rows] = make(scenes[rows], others, generator)
    return images.clamp(0, 1)


def miscounted_scenes(n: int, generator: torch.Generator) -> Tensor:
    """uint8 scenes (n, 3, h, w) with two objects of another shape or colour, or with none."""
    first, second = sample_attributes(n, generator), sample_attributes(n, generator)
    shift = torch.randint(1, 3, (n,), generator=generator)
    second.indices[:, 3] = (first.indices[:, 3] + shift) % 3  # never at the same place
    pairs = render_scenes(first, generator, (first, second))
    empty = render_scenes(first, generator, ())
    alone = torch.rand(n, generator=generator) < 0.15
    return (torch.where(alone.view(n, 1, 1, 1), empty, pairs) * 255).round().byte()


def _mixed(scenes: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    share = torch.rand(len(scenes), 1, 1, 1, generator=generator) * 0.4 + 0.3
    return share * scenes + (1 - share) * others.flip(-1)


def _shuffled(scenes: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    n, c, h, w = scenes.shape
    patches = functional.unfold(scenes, 16, stride=16)  # (n, c * 256, 16)
    order = torch.rand(n, 1, patches.shape[-1], generator=generator).argsort(-1)
    return functional.fold(patches.gather(2, order.expand_as(patches)), (h, w), 16, stride=16)


def _noise(scenes: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(scenes.shape, generator=generator)


def _field(n: int, channels: int, cells: int, size: int, generator: torch.Generator) -> Tensor:
    coarse = torch.rand(n, channels, cells, cells, generator=generator)
    return functional.interpolate(coarse, size, mode="bicubic", align_corners=False)


def _clouds(scenes: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    cells = int(torch.randint(3, 12, (1,), generator=generator))
    return _field(len(scenes), 3, cells, scenes.shape[-1], generator)


def _blobs(scenes: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    """Random blobs of random colours over a washed-out scene, so that no shape is left."""
    n, _, _, size = scenes.shape
    background = scenes[:, :, :1, :1].expand_as(scenes)
    cells = int(torch.randint(5, 9, (1,), generator=generator))
    blobs = ((_field(n, 1, cells, size, generator) - 0.62) * 12).sigmoid()
    colour = torch.rand(n, 3, 1, 1, generator=generator)
    return background * (1 - blobs) + colour * blobs


def _noisy(scenes: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    strength = torch.rand(len(scenes), 1, 1, 1, generator=generator) * 0.25 + 0.2
    return scenes + strength * torch.randn(scenes.shape, generator=generator)


def _warped(scenes: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    """The scene pulled apart by a strong random displacement."""
    n, _, h, w = scenes.shape
    axis = torch.linspace(-1, 1, h)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    shift = (_field(n, 2, 7, h, generator) - 0.5) * 1.1
    grid = torch.stack([x, y], dim=-1) + shift.permute(0, 2, 3, 1)
    return functional.grid_sample(scenes, grid, padding_mode="reflection", align_corners=False)


_MAKERS = (_mixed, _shuffled, _noise, _clouds, _blobs, _noisy, _warped)
