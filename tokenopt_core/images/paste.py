"""Pictures into the square that a tokenizer takes, and squares back into their pictures.

Axes: b images, c channels, h x w pixels of the picture, s x s of the square.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..checks import python_numbers
from .fit import FILLS, Box, Fit, Place, white_part, without_faint
from .masks import check_mask, feather
from .resize import resize

WIDEST_STEP = 16  # pixels of a rim; wider ones are made of a smaller mask, or they take seconds


def into_square(images: Tensor, fit: Fit) -> Tensor:
    """The squares (b, c, s, s) of pictures (1 or b, c, h, w) in [0, 1], resized with antialiasing.

    b is the larger of the number of pictures and the number of places. Where nothing has to be
    resized, pixels stay what they are.
    """
    _check_size(images, fit, "images")
    count = _common("images", len(images), "places", len(fit.places))
    made = []
    for index in range(count):
        place = fit.place(index)
        shown = resize(place.picture.of(_one(images, index)), place.square[2:])
        made.append(_filled(shown, place.square, fit.size, FILLS[fit.fill]))
    return torch.cat(made)


def mask_into_square(masks: Tensor, fit: Fit) -> Tensor:
    """The same for masks (1 or b, 1, h, w); what is nearly black in them (see `without_faint`) and
    what lies beside the picture is 0, may not change."""
    check_mask(masks, fit.picture)
    masks = without_faint(masks)
    count = _common("masks", len(masks), "places", len(fit.places))
    made = []
    for index in range(count):
        place = fit.place(index)
        shown = resize(place.picture.of(_one(masks, index)), place.square[2:], "bilinear")
        made.append(_filled(shown, place.square, fit.size, 0.0))
    return torch.cat(made)


@python_numbers
def paste(
    images: Tensor,
    fit: Fit,
    pictures: Tensor,
    masks: Tensor | None = None,
    soft: float = 0.0,
) -> Tensor:
    """Pictures (b, 3, h, w) with the squares put back where they came from.

    A pixel whose share of the square is 0 is the picture's to the last bit.

    Args:
        images: (1 or b, 3, any, any), the squares; enlarged ones are as good.
        fit: of the pictures.
        pictures: (1 or b, 3, h, w) in [0, 1].
        masks: (1 or b, 1, h, w), white where the square replaces the picture, nearly black is
            black; None is everywhere.
        soft: width of the transitions, as a share of the square's shorter side in the picture: out
            of the mask's white part, and into the square at sides beyond which the picture (with a
            mask: its white part) goes on.

    Raises:
        ValueError: numbers of images that do not fit, or pictures of another size than the fit's.
    """
    _check_size(pictures, fit, "pictures")
    if masks is not None:
        check_mask(masks, fit.picture)
        masks = without_faint(masks)
    if not 0 <= soft <= 1:
        raise ValueError(f"soft is {soft!r}: expected a number from 0 to 1.")
    numbers = {"images": len(images), "places": len(fit.places), "pictures": len(pictures)}
    numbers |= {} if masks is None else {"masks": len(masks)}
    count = max(numbers.values())
    for name, number in numbers.items():
        _common(name, number, "results", count)
    result = pictures.expand(count, -1, -1, -1).clone()
    for index in range(count):
        place = fit.place(index)
        mask = None if masks is None else _one(masks, index)
        share = _share(place.picture, Box(0, 0, *fit.picture), mask, soft)
        old = place.picture.of(result[index : index + 1])
        new = _shown(_one(images, index), place, fit.size)
        mixed = torch.where(share >= 1, new, torch.lerp(old, new, share))
        old.copy_(torch.where(share <= 0, old, mixed))
    return result


def _filled(images: Tensor, box: Box, size: int, value: float | None) -> Tensor:
    """Images in their box of a square; None repeats their border."""
    beside = (box.left, size - box.left - box.width, box.top, size - box.top - box.height)
    if not any(beside):
        return images
    if value is None:
        return F.pad(images, beside, mode="replicate")
    return F.pad(images, beside, value=value)


def _shown(image: Tensor, place: Place, size: int) -> Tensor:
    """What a square (1, 3, any, any) shows of the picture, at the picture's scale."""
    box = place.square.scaled(image.shape[2] / size, image.shape[3] / size)
    top = min(box.top, image.shape[2] - 1)
    left = min(box.left, image.shape[3] - 1)
    return resize(Box(top, left, *box[2:]).of(image), place.picture[2:])


def _share(box: Box, picture: Box, mask: Tensor | None, soft: float) -> Tensor:
    """How much of the square each pixel of its box gets, by the picture's mask (1, 1, h, w) if
    there is one: (1, 1, height, width)."""
    rim = round(soft * min(box.height, box.width))
    share = _fading(box, picture, rim)
    if mask is None:
        return share
    inside = box.of(mask)
    # White that ends in the square is replaced up to its end, however near that is to the side.
    whole = _fading(box, white_part(mask[0]) or box, rim) * inside
    return torch.maximum(share * _soft(inside, rim), whole)


def _fading(box: Box, around: Box, rim: int) -> Tensor:
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


def _soft(mask: Tensor, rim: int) -> Tensor:
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
    if images.ndim != 4 or tuple(images.shape[2:]) != fit.picture:
        raise ValueError(
            f"{name} have shape {tuple(images.shape)}: expected (b, c, {fit.picture[0]}, "
            f"{fit.picture[1]}), the size that the fit was made for."
        )
