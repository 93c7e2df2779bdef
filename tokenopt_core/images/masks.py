"""Masks: 1 = may change, 0 = known, between them soft. Axes: b images, h x w pixels."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_tensor, python_numbers


@python_numbers
def feather(mask: Tensor, radius: int) -> Tensor:
    """The mask (b, 1, h, w) with a soft rim of `radius` pixels around it; 0 leaves it as it is.

    The rim lies outside: what was 1 stays 1, so that a thin stroke is not lost and an object at the
    edge of the hole can go completely; known pixels up to `radius` away may change a little. At
    distance d a pixel gets exp(-d^2 / (2 (radius / 3)^2)) of the nearest hole, 1 % at the end.

    Raises:
        ValueError: not a mask of that shape and range, or a radius below 0 or no integer.
    """
    check_mask(mask)
    if not isinstance(radius, int) or radius < 0:
        raise ValueError(f"radius is {radius!r}: expected a number of pixels, an integer from 0.")
    if radius == 0:
        return mask.clone()
    # The largest product over all pixels of mask and Gaussian, one axis after the other.
    return _spread(_spread(mask, radius, 2), radius, 3)


def check_mask(mask: Tensor, size: tuple[int, int] | None = None) -> None:
    """Nothing; raises ValueError unless `mask` is (b, 1, h, w) in [0, 1], h x w = `size`."""
    check_tensor(mask, "mask", "(1 or b, 1, h, w)")
    fits = mask.ndim == 4 and mask.shape[1] == 1 and size in (None, tuple(mask.shape[2:]))
    if not fits or 0 in mask.shape:
        of_size = f" of the target's size, {size[0]} x {size[1]}" if size else ""
        raise ValueError(
            f"mask has shape {tuple(mask.shape)}: expected (1 or b, 1, h, w){of_size}."
        )
    if not mask.is_floating_point():
        raise ValueError(f"mask has type {mask.dtype}, expected floating point in [0, 1].")
    if not ((mask >= 0) & (mask <= 1)).all():
        raise ValueError("mask has values outside [0, 1]: 1 = may change, 0 = known.")


def _spread(mask: Tensor, radius: int, axis: int) -> Tensor:
    """The largest of all pixels' values along an axis, each times a Gaussian of the distance."""
    length, result = mask.shape[axis], mask
    pad = [radius, radius] if axis == 3 else [0, 0, radius, radius]
    padded = F.pad(mask, pad)
    for distance in range(1, min(radius, length - 1) + 1):
        share = math.exp(-4.5 * (distance / radius) ** 2)
        for start in (radius - distance, radius + distance):
            result = torch.maximum(result, share * padded.narrow(axis, start, length))
    return result
