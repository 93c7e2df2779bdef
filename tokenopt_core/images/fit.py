"""Which square of a picture of any size a tokenizer looks at. `.pasting` makes it and puts it back.

A square shows one rectangle of the picture; where the picture ends, the rest of it is filled.
Axes: b images, h x w pixels of the picture, s x s of the square.
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
SEEN = 0.5 / 255  # less of a mask is black to 8 bits
LARGEST = 1e4  # of a pixel: whatever is in an image, networks overflow far beyond
FAINT = 0.05  # what JPEG and removers of backgrounds leave of black is less


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
    """A rectangle of the picture, and where the square shows it."""

    picture: Box
    square: Box


@dataclass(frozen=True)
class Fit:
    """Which part of a picture a square shows, and how to bring it back.

    Args:
        size: s.
        picture: h and w.
        places: one for all images, or one each.
        fill: of `FILLS`, what the square shows where the picture has nothing.
    """

    size: int
    picture: tuple[int, int]
    places: tuple[Place, ...]
    fill: str = "edge"

    def place(self, index: int) -> Place:
        """That of one image."""
        return self.places[index if len(self.places) > 1 else 0]


@python_numbers
def fit_whole(
    picture: tuple[int, int],
    size: int,
    mode: str = "crop",
    position: float = 0.5,
    fill: str = "edge",
) -> Fit:
    """The fit of a whole picture of h x w pixels into a square of `size`.

    Args:
        mode: "crop" shows the largest square of the picture, "pad" all of it and something beside
            it, "stretch" all of it, squeezed.
        position: where the square lies along the longer side of the picture, 0 (top or left) to 1.
        fill: of `FILLS`, for "pad".

    Raises:
        ValueError: an unknown mode or fill, or numbers out of range.
    """
    _check(picture, size, mode, position, fill)
    height, width = picture
    sides = {"crop": (min(picture),) * 2, "pad": (max(picture),) * 2, "stretch": picture}
    down, across = sides[mode]
    top, left = math.floor((height - down) * position), math.floor((width - across) * position)
    return Fit(size, picture, (_place(Box(top, left, down, across), picture, size),), fill)


@python_numbers
def fit_around(
    masks: Tensor, size: int, mode: str = "crop", margin: float = 0.5, fill: str = "edge"
) -> Fit:
    """The fit of the surroundings of what is white in each mask into a square of `size`.

    The square is centred on the white part, moved into the picture, and never smaller than `size`
    where the picture is not: a closer look has no finer pixels.

    Args:
        masks: (b, 1, h, w) in [0, 1], of the pictures' size.
        mode: what happens if so large a square does not fit into the picture: "crop" makes it
            smaller, which may cut off the white part, "pad" fills it up beside the picture,
            "stretch" squeezes what is there.
        margin: how much is added on each side, as a share of the white part's longer side.
        fill: of `FILLS`, for "pad".

    Raises:
        ValueError: no mask, an empty one, an unknown mode or fill, or a margin below 0.
    """
    check_mask(masks)
    picture = (masks.shape[2], masks.shape[3])
    _check(picture, size, mode, 0.5, fill)
    if not 0 <= margin < math.inf:
        raise ValueError(f"margin is {margin!r}: expected a number of 0 or more.")
    places = []
    for index, mask in enumerate(masks):
        inner = white_part(mask)
        if inner is None:
            raise ValueError(
                f"mask {index} is 0 everywhere: expected 1 where something may change."
            )
        places.append(_place(_square_around(inner, picture, size, mode, margin), picture, size))
    return Fit(size, picture, tuple(places), fill)


def without_faint(masks: Tensor) -> Tensor:
    """Masks (b, 1, h, w) in [0, 1] with 0 where they are nearly black: at most 0.05, or half of
    the mask's highest value where that is less, so that a faint mask stays one."""
    darkest = (masks.amax((1, 2, 3), keepdim=True) / 2).clamp(SEEN, FAINT)
    return torch.where(masks > darkest, masks, 0)


def white_part(mask: Tensor) -> Box | None:
    """The smallest rectangle that holds all that is not nearly black in a mask (1, h, w), if any
    is; see `without_faint`."""
    white = without_faint(mask[None])[0, 0] > 0
    rows, columns = white.any(1).nonzero(), white.any(0).nonzero()
    if not len(rows):
        return None
    top, bottom, left, right = (int(i) for i in (rows[0], rows[-1], columns[0], columns[-1]))
    return Box(top, left, bottom - top + 1, right - left + 1)


def _square_around(
    inner: Box, picture: tuple[int, int], size: int, mode: str, margin: float
) -> Box:
    side = max(inner.height, inner.width)
    side = min(max(math.ceil(side * (1 + 2 * margin)), size), max(picture))
    if mode == "crop":
        side = min(side, *picture)
    starts, lengths = [], []
    for start, length, whole in zip(inner[:2], inner[2:], picture, strict=True):
        own = min(side, whole) if mode == "stretch" else side
        wanted = math.floor(start + (length - own) / 2)
        starts.append(min(max(wanted, 0), whole - own) if own <= whole else (whole - own) // 2)
        lengths.append(own)
    return Box(*starts, *lengths)


def _place(box: Box, picture: tuple[int, int], size: int) -> Place:
    """The part of a box that lies in the picture, and where that is in the square."""
    inside, shown = [], []
    for start, length, whole in zip(box[:2], box[2:], picture, strict=True):
        first, last = max(start, 0), min(start + length, whole)
        low = min(round((first - start) * size / length), size - 1)
        high = max(round((last - start) * size / length), low + 1)
        inside.append((first, last - first))
        shown.append((low, high - low))
    (top, height), (left, width) = inside
    (low, down), (near, across) = shown
    return Place(Box(top, left, height, width), Box(low, near, down, across))


def _check(picture: tuple[int, int], size: int, mode: str, position: float, fill: str) -> None:
    if min(*picture, size) < 1:
        raise ValueError(f"picture is {picture} and size {size}: expected one pixel at least.")
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
