"""Losses of pixels alone, and a loss that looks through a mask.

Axes: b images, h x w pixels.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from ..images.masks import KnownPixels
from ..kinds import check_images
from .base import Loss, at, is_scheduled, loss_terms, lowered, remarks, seeded


class TotalVariationLoss:
    """The mean absolute difference of neighbouring pixels, across plus down: 0 is a flat image."""

    name = "total variation"

    def __call__(self, images: Tensor) -> Tensor:
        check_images(images, "images of total variation")
        if min(images.shape[2:]) < 2:
            raise ValueError(
                f"total variation got images {tuple(images.shape)}: expected 2 x 2 pixels or more."
            )
        images = images.float()
        return sum(images.diff(dim=axis).abs().mean((1, 2, 3)) for axis in (2, 3))


class RangeLoss:
    """The mean distance of pixels from [0, 1]: what the final clamp would cut off.

    For `OptimizeConfig(clamp=False)`, where a guide sees impossible colours; else it is 0.
    """

    name = "range"

    def __call__(self, images: Tensor) -> Tensor:
        check_images(images, "images of range")
        images = images.float()
        return ((-images).relu() + (images - 1).relu()).mean((1, 2, 3))


class MaskedComposite:
    """A loss that sees the original outside the mask and the optimized image inside.

    So a prompt is asked of the picture as it will be put together, and pixels outside the mask get
    no gradient from it.
    """

    def __init__(self, loss: Loss, target: Tensor, mask: Tensor):
        """
        Args:
            loss: any loss; its terms keep their names.
            target: (1 or b, 3, h, w) in [0, 1], the original.
            mask: (1 or b, 1, h, w) in [0, 1]; 1 = may change, 0 = original. See `feather`.
        """
        if not callable(loss):
            raise ValueError(f"MaskedComposite has {loss!r} as a loss: expected a callable.")
        self.loss = loss
        self._known = KnownPixels(target, mask)
        if not self._known.any_free():
            raise ValueError("mask lets no pixel change, so the loss would only see the original.")

    def seeded(self, seeds: Sequence[int], calls: int = 0) -> MaskedComposite:
        """A copy with the inner loss seeded."""
        return self._with(seeded(self.loss, seeds, calls))

    def at(self, progress: float) -> MaskedComposite:
        """A copy with the inner loss at this share of the run."""
        return self._with(at(self.loss, progress))

    def lowered(self, dtype: torch.dtype, device: torch.device | None = None) -> MaskedComposite:
        """A copy with the inner loss's models in `dtype`, on `device`."""
        return self._with(lowered(self.loss, dtype, device))

    @property
    def scheduled(self) -> bool:
        """Whether the inner loss is."""
        return is_scheduled(self.loss)

    def terms(self, images: Tensor) -> dict[str, Tensor]:
        """The inner loss's terms (b,), of the composite."""
        return loss_terms(self.loss, self.composite(images))

    def remarks(self) -> list[str]:
        """The inner loss's remarks."""
        return remarks(self.loss)

    def composite(self, images: Tensor) -> Tensor:
        """The original where pixels are known, `images` where they may change: (b, 3, h, w)."""
        return self._known.composite(images, "the masked composite")

    def __call__(self, images: Tensor) -> Tensor:
        return self.loss(self.composite(images))

    def _with(self, loss: Loss) -> MaskedComposite:
        other = copy.copy(self)
        other.loss = loss
        return other
