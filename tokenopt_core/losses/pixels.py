"""Penalties of pixels: total variation and range.

Axes: b images, h x w pixels.
"""

from __future__ import annotations

from torch import Tensor

from ..checks import check_images
from .base import Loss


class TotalVariationLoss(Loss):
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


class RangeLoss(Loss):
    """The mean distance of pixels from [0, 1]: what the final clamp would cut off.

    For `OptimizeConfig(clamp=False)`, where a guide sees impossible colours; otherwise it is 0.
    """

    name = "range"

    def __call__(self, images: Tensor) -> Tensor:
        check_images(images, "images of range")
        images = images.float()
        return ((-images).relu() + (images - 1).relu()).mean((1, 2, 3))
