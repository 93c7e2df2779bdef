"""The frames of a run, for an animation: from the start to the result.

Axes: b images, h and w pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

MOST_IMAGES = 4  # of a batch; they share each frame


class Trajectory:
    """Collects evenly spaced images of a run of `steps`; `frames` of them with the result."""

    def __init__(self, steps: int, frames: int):
        spaces = max(1, frames - 1)
        self._wanted = {round(i * (steps - 1) / spaces) for i in range(frames - 1)}
        self._frames: list[Tensor] = []

    def add(self, index: int, images: Tensor) -> None:
        """Keeps images (b, 3, h, w) if step `index` is one of those wanted."""
        if index in self._wanted:
            self._frames.append(_small(images))

    def finish(self, result: Tensor) -> Tensor:
        """All frames (f, 3, H, W) in [0, 1], the result last; images of a batch side by side."""
        frames = torch.stack([*self._frames, _small(result)]).float() / 255  # (f, b, 3, h, w)
        return _side_by_side(frames)


def _small(images: Tensor) -> Tensor:
    return (images[:MOST_IMAGES].detach().float().clamp(0, 1) * 255).round().byte().cpu()


def _side_by_side(frames: Tensor) -> Tensor:
    """(f, 3, H, W) of (f, b, 3, h, w): up to three in a row, four in a square."""
    count = frames.shape[1]
    rows = [frames[:, :2], frames[:, 2:]] if count == 4 else [frames]
    return torch.cat([torch.cat(list(row.unbind(1)), dim=-1) for row in rows], dim=-2)
