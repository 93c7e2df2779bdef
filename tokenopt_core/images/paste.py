"""Images into the tokenizer's squares, and squares back into their images.

Axes: b images, c channels, h x w pixels of the image, s x s of the square.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..checks import python_numbers
from .fit import FILLS, Box, Fit, Place, bounding_box, without_nearly_black
from .masks import check_mask, feather
from .resize import resize

WIDEST_STEP = 16  # pixels of a rim; wider ones are made of a smaller mask, or they take seconds


def into_square(images: Tensor, fit: Fit) -> Tensor:
    """The squares (b, c, s, s) of images (1 or b, c, h, w) in [0, 1], resized with antialiasing.

    b is the larger of the number of images and the number of places. Where nothing has to be
    resized, pixels stay what they are.
    """
    _check_size(images, fit, "images")
    return _squares("images", images, fit, "bicubic", FILLS[fit.fill])


def mask_into_square(masks: Tensor, fit: Fit) -> Tensor:
    """The same for masks (1 or b, 1, h, w): 0, may not change, where they are nearly black (see
    `without_nearly_black`) and beside the image."""
    check_mask(masks, fit.image_size)
    return _squares("masks", without_nearly_black(masks), fit, "bilinear", 0.0)


@python_numbers
def paste(
    squares: Tensor,
    fit: Fit,
    images: Tensor,
    masks: Tensor | None = None,
    soft: float = 0.0,
) -> Tensor:
    """Images (b, 3, h, w) with the squares put back where they came from.

    A pixel where the square's weight is 0 is the image's to the last bit.

    Args:
        squares: (1 or b, 3, any, any); enlarged ones are as good.
        fit: of the images.
        images: (1 or b, 3, h, w) in [0, 1].
        masks: (1 or b, 1, h, w), white where the square replaces the image, nearly black is
            black; None is everywhere.
        soft: width of the transitions, as a share of the square's shorter side in the image: out
            of the mask's white part, and into the square at sides beyond which the image (with a
            mask: its white part) goes on.

    Raises:
        ValueError: numbers of images that do not fit, or images of another size than the fit's.
    """
    _check_size(images, fit, "images")
    if masks is not None:
        check_mask(masks, fit.image_size)
        masks = without_nearly_black(masks)
    if not 0 <= soft <= 1:
        raise ValueError(f"soft is {soft!r}: expected a number from 0 to 1.")
    numbers = {"squares": len(squares), "places": len(fit.places), "images": len(images)}
    numbers |= {} if masks is None else {"masks": len(masks)}
    count = max(numbers.values())
    for name, number in numbers.items():
        _common(name, number, "results", count)
    result = images.expand(count, -1, -1, -1).clone()
    for index in range(count):
        place = fit.place(index)
        mask = None if masks is None else _one(masks, index)
        weight = _weight(place.image, Box(0, 0, *fit.image_size), mask, soft)
        old = place.image.of(result[index : index + 1])
        new = _shown(_one(squares, index), place, fit.size)
        mixed = torch.where(weight >= 1, new, torch.lerp(old, new, weight))
        old.copy_(torch.where(weight <= 0, old, mixed))
    return result


def _squares(name: str, images: Tensor, fit: Fit, mode: str, fill: float | None) -> Tensor:
    squares = []
    for index in range(_common(name, len(images), "places", len(fit.places))):
        place = fit.place(index)
        shown = resize(place.image.of(_one(images, index)), place.square[2:], mode)
        squares.append(_filled(shown, place.square, fit.size, fill))
    return torch.cat(squares)


def _filled(images: Tensor, box: Box, size: int, value: float | None) -> Tensor:
    """Images in their box of a square; None repeats their border."""
    beside = (box.left, size - box.left - box.width, box.top, size - box.top - box.height)
    if not any(beside):
        return images
    if value is None:
        return F.pad(images, beside, mode="replicate")
    return F.pad(images, beside, value=value)


def _shown(image: Tensor, place: Place, size: int) -> Tensor:
    """What a square (1, 3, any, any) shows of the image, at the image's scale."""
    box = place.square.scaled(image.shape[2] / size, image.shape[3] / size)
    top = min(box.top, image.shape[2] - 1)
    left = min(box.left, image.shape[3] - 1)
    return resize(Box(top, left, *box[2:]).of(image), place.image[2:])


def _weight(box: Box, whole: Box, mask: Tensor | None, soft: float) -> Tensor:
    """The square's weight (1, 1, height, width) at each pixel of its box.

    Args:
        whole: the image.
        mask: (1, 1, h, w) of the image, if there is one.
    """
    rim = round(soft * min(box.height, box.width))
    weight = _fade(box, whole, rim)
    if mask is None:
        return weight
    inside = box.of(mask)
    # White that ends in the square is replaced up to its end, however near that is to the side.
    white = _fade(box, bounding_box(mask[0]) or box, rim) * inside
    return torch.maximum(weight * _feathered(inside, rim), white)


def _fade(box: Box, around: Box, rim: int) -> Tensor:
    """Ones (1, 1, height, width) that fade at sides of a box beyond which `around` goes on."""
    ramps = [
        _ramp(length, rim if start > first else 0, rim if start + length < first + whole else 0)
        for start, length, first, whole in zip(
            box[:2], box[2:], around[:2], around[2:], strict=True
        )
    ]
    return (ramps[0][:, None] * ramps[1][None, :])[None, None]


def _ramp(length: int, before: int, behind: int) -> Tensor:
    """Ones (length,) that rise smoothly over the first and fall over the last so many pixels."""
    centres = torch.arange(length) + 0.5
    ramp = torch.ones(length)
    for distances, rim in ((centres, before), (length - centres, behind)):
        if rim:
            ramp = torch.minimum(ramp, distances / rim)
    return ramp * ramp * (3 - 2 * ramp)


def _feathered(mask: Tensor, rim: int) -> Tensor:
    """`feather`, by a smaller mask where the rim is wide."""
    factor = math.ceil(rim / WIDEST_STEP)
    if factor <= 1:
        return feather(mask, rim)
    small = F.max_pool2d(mask, factor, ceil_mode=True)  # keeps a thin stroke
    wide = feather(small, round(rim / factor))
    wide = F.interpolate(wide, mask.shape[2:], mode="bilinear", align_corners=False)
    return torch.maximum(mask, wide)


def _one(images: Tensor, index: int) -> Tensor:
    index = index if len(images) > 1 else 0
    return images[index : index + 1]


def _common(name: str, number: int, other_name: str, other: int) -> int:
    if 1 not in (number, other) and number != other:
        raise ValueError(f"{name} are {number} and {other_name} {other}: expected as many, or one.")
    return max(number, other)


def _check_size(images: Tensor, fit: Fit, name: str) -> None:
    if images.ndim != 4 or tuple(images.shape[2:]) != fit.image_size:
        raise ValueError(
            f"{name} have shape {tuple(images.shape)}: expected (b, c, {fit.image_size[0]}, "
            f"{fit.image_size[1]}), the size that the fit was made for."
        )
