"""The tokenizer's square of an image of any size: which part of it, found by size or by a mask.

A square shows one rectangle of the image; where the image ends, the rest of the square is filled.
`.paste` makes squares and puts them back.
Axes: b images, h x w pixels of the image, s x s of the square.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..checks import check_images, python_numbers
from .masks import check_mask
from .resize import resize

MODES = ("crop", "pad", "stretch")
FILLS = {"edge": None, "black": 0.0, "grey": 0.5, "white": 1.0}
BLACK = 0.5 / 255  # less of a mask is black in 8 bits
LARGEST = 1e4  # of a pixel: whatever is in an image, networks overflow far beyond
NEARLY_BLACK = 0.05  # what JPEG and background removers leave of black is less


class Box(NamedTuple):
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, images: Tensor) -> Tensor:
        """That part of images (..., h, w)."""
        return images[..., self.top : self.top + self.height, self.left : self.left + self.width]

    def scaled(self, down: float, across: float) -> Box:
        """The same part of images so many times as high and as wide, one pixel at least."""
        top, left = round(self.top * down), round(self.left * across)
        bottom, right = (self.top + self.height) * down, (self.left + self.width) * across
        return Box(top, left, max(1, round(bottom) - top), max(1, round(right) - left))


class Place(NamedTuple):
    """A rectangle of the image, and where the square shows it."""

    image: Box
    square: Box


@dataclass(frozen=True)
class Fit:
    """Which part of an image a square shows, and where it returns to.

    Args:
        size: s.
        image_size: h and w.
        places: one for all images, or one each.
        fill: of `FILLS`, what the square shows beside the image.
    """

    size: int
    image_size: tuple[int, int]
    places: tuple[Place, ...]
    fill: str = "edge"

    def place(self, index: int) -> Place:
        """That of one image."""
        return self.places[index if len(self.places) > 1 else 0]


@python_numbers
def fit_whole(
    image_size: tuple[int, int],
    size: int,
    mode: str = "crop",
    position: float = 0.5,
    fill: str = "edge",
) -> Fit:
    """The fit of a whole image of h x w pixels into a square of `size`.

    Args:
        image_size: h and w.
        mode: "crop" shows the largest square of the image, "pad" all of it and something beside
            it, "stretch" all of it, squeezed.
        position: where the square lies along the longer side of the image, 0 (top or left) to 1.
        fill: of `FILLS`, for "pad".

    Raises:
        ValueError: an unknown mode or fill, or numbers out of range.
    """
    _check(image_size, size, mode, position, fill)
    height, width = image_size
    sides = {"crop": (min(image_size),) * 2, "pad": (max(image_size),) * 2, "stretch": image_size}
    down, across = sides[mode]
    top, left = math.floor((height - down) * position), math.floor((width - across) * position)
    return Fit(size, image_size, (_place(Box(top, left, down, across), image_size, size),), fill)


@python_numbers
def fit_around(
    masks: Tensor, size: int, mode: str = "crop", margin: float = 0.5, fill: str = "edge"
) -> Fit:
    """The fit of the surroundings of what is white in each mask into a square of `size`.

    The square is centred on the white part, moved into the image, and never smaller than `size`
    where the image is not: a smaller part has no finer pixels.

    Args:
        masks: (b, 1, h, w) in [0, 1], of the images' size.
        mode: what happens if so large a square does not fit into the image: "crop" makes it
            smaller, which may cut off the white part, "pad" fills it up beside the image,
            "stretch" squeezes what is there.
        margin: how much is added on each side, as a share of the white part's longer side.
        fill: of `FILLS`, for "pad".

    Raises:
        ValueError: no mask, an empty one, an unknown mode or fill, or a margin below 0.
    """
    check_mask(masks)
    image_size = (masks.shape[2], masks.shape[3])
    _check(image_size, size, mode, 0.5, fill)
    if not 0 <= margin < math.inf:
        raise ValueError(f"margin is {margin!r}: expected a number of 0 or more.")
    places = []
    for index, mask in enumerate(masks):
        inner = bounding_box(mask)
        if inner is None:
            raise ValueError(
                f"mask {index} is 0 everywhere: expected 1 where something may change."
            )
        places.append(
            _place(_square_around(inner, image_size, size, mode, margin), image_size, size)
        )
    return Fit(size, image_size, tuple(places), fill)


def without_nearly_black(masks: Tensor) -> Tensor:
    """Masks (b, 1, h, w) in [0, 1] with 0 where they are nearly black: at most 0.05, or half of
    the mask's highest value where that is less, so that a mask of low values stays one."""
    darkest = (masks.amax((1, 2, 3), keepdim=True) / 2).clamp(BLACK, NEARLY_BLACK)
    return torch.where(masks > darkest, masks, 0)


def bounding_box(mask: Tensor) -> Box | None:
    """The smallest rectangle that holds all that is not nearly black in a mask (1, h, w), if any
    is; see `without_nearly_black`."""
    white = without_nearly_black(mask[None])[0, 0] > 0
    rows, columns = white.any(1).nonzero(), white.any(0).nonzero()
    if not len(rows):
        return None
    top, bottom, left, right = (int(i) for i in (rows[0], rows[-1], columns[0], columns[-1]))
    return Box(top, left, bottom - top + 1, right - left + 1)


def _square_around(
    inner: Box, image_size: tuple[int, int], size: int, mode: str, margin: float
) -> Box:
    side = max(inner.height, inner.width)
    side = min(max(math.ceil(side * (1 + 2 * margin)), size), max(image_size))
    if mode == "crop":
        side = min(side, *image_size)
    starts, lengths = [], []
    for start, length, whole in zip(inner[:2], inner[2:], image_size, strict=True):
        own = min(side, whole) if mode == "stretch" else side
        wanted = math.floor(start + (length - own) / 2)
        starts.append(min(max(wanted, 0), whole - own) if own <= whole else (whole - own) // 2)
        lengths.append(own)
    return Box(*starts, *lengths)


def _place(box: Box, image_size: tuple[int, int], size: int) -> Place:
    """The part of a box that lies in the image, and where that is in the square."""
    inside, shown = [], []
    for start, length, whole in zip(box[:2], box[2:], image_size, strict=True):
        first, last = max(start, 0), min(start + length, whole)
        low = min(round((first - start) * size / length), size - 1)
        high = max(round((last - start) * size / length), low + 1)
        inside.append((first, last - first))
        shown.append((low, high - low))
    (top, height), (left, width) = inside
    (low, down), (near, across) = shown
    return Place(Box(top, left, height, width), Box(low, near, down, across))


def _check(image_size: tuple[int, int], size: int, mode: str, position: float, fill: str) -> None:
    if min(*image_size, size) < 1:
        raise ValueError(
            f"image_size is {image_size} and size {size}: expected one pixel at least."
        )
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}: expected one of {', '.join(MODES)}.")
    if fill not in FILLS:
        raise ValueError(f"fill is {fill!r}: expected one of {', '.join(FILLS)}.")
    if not 0 <= position <= 1:
        raise ValueError(f"position is {position!r}: expected a number from 0 to 1.")


def fit_images(images: Tensor, size: int) -> Tensor:
    """Images (b, 3, size, size): the central square of `images`, resized with antialiasing."""
    check_images(images)
    if not images.is_floating_point():
        raise ValueError(f"images have type {images.dtype}, expected floating point in [0, 1].")
    if images.numel() and not images.abs().amax() <= LARGEST:  # NaN too; its codes mean nothing
        raise ValueError("images have NaN, infinite or huge numbers, expected those from 0 to 1.")
    return _central_square(images, size)


def fit_masks(masks: Tensor, size: int) -> Tensor:
    """Masks (b, 1, size, size) of masks (b, 1, h, w) in [0, 1]: what `fit_images` shows of them."""
    check_mask(masks)
    return _central_square(masks, size)


def _central_square(images: Tensor, size: int) -> Tensor:
    height, width = images.shape[2:]
    if (height, width) == (size, size):
        return images
    side = min(height, width)
    if side == 0:
        raise ValueError(f"images have shape {tuple(images.shape)}, expected at least one pixel.")
    top, left = (height - side) // 2, (width - side) // 2
    return resize(images[:, :, top : top + side, left : left + side].float(), (size, size))
