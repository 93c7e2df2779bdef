"""Antialiased resizing of images and masks.

Axes: b images, c channels, h x w pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def resize(images: Tensor, size: Sequence[int], mode: str = "bicubic") -> Tensor:
    """Images (b, c, *size) in [0, 1]; the same tensor if that is its size already.

    Args:
        images: (b, c, h, w) in [0, 1].
        size: height and width in pixels.
        mode: "bicubic", or "bilinear", which never overshoots.
    """
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return _interpolated(images, size, mode).clamp(0, 1)  # bicubic overshoots


def resize_bands(bands: Iterable[Tensor], size: Sequence[int]) -> Tensor:
    """As `resize`, of images that come in bands of rows (b, c, ., w), from the top to the bottom.

    The width is reduced first, so that no more than one band is in memory at full width.
    """
    narrow = [_interpolated(band, (band.shape[2], size[1]), "bicubic") for band in bands]
    return _interpolated(torch.cat(narrow, 2), size, "bicubic").clamp(0, 1)


def _interpolated(images: Tensor, size: Sequence[int], mode: str) -> Tensor:
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return F.interpolate(images, tuple(size), mode=mode, align_corners=False, antialias=True)
