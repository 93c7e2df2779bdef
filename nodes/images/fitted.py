"""Pictures of any size into the tokenizer's square and back: for Fit Image, Paste Back, easy nodes.

Axes: b images, h x w pixels of the picture, s x s of the tokenizer's square.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...tokenopt_core.images.fit import (
    fit_around,
    fit_whole,
    white_part,
)
from ...tokenopt_core.images.paste import into_square, mask_into_square, paste
from ..host.images import from_images, to_images, to_masks
from ..host.sockets import FittedPicture

SOFT_EDGE = 4.0  # percent


def fitted_picture(
    pictures: Tensor,
    mask: Tensor | None,
    size: int,
    *,
    mode: str,
    position: float = 0.5,
    fill: str = "edge",
    margin: int | None = None,
) -> FittedPicture:
    """How pictures (b, 3, h, w) and the MASK of what may change come into squares of `size`.

    Args:
        mode, position, fill: see `fit_whole`.
        margin: around the mask's white part, in percent; None fits the whole picture.

    Raises:
        ValueError: numbers of images that do not fit, or a mask without white.
    """
    picture = tuple(pictures.shape[2:])
    if mask is None:
        return FittedPicture(fit_whole(picture, size, mode, position, fill))
    masks = to_masks(mask, picture)
    _check_masks(masks, len(pictures))
    if margin is not None:
        fit = fit_around(masks, size, mode, margin / 100, fill)
    else:
        fit = fit_whole(picture, size, mode, position, fill)
    return FittedPicture(fit, masks)


def squares_of(pictures: Tensor, fitted: FittedPicture) -> tuple[Tensor, Tensor]:
    """Squares (b, 3, s, s) of pictures, and the masks (1 or b, 1, s, s) of what may change."""
    masks = pictures.new_ones(1, 1, *fitted.fit.picture) if fitted.mask is None else fitted.mask
    return into_square(pictures, fitted.fit), mask_into_square(masks, fitted.fit)


def pasted_back(
    squares: Tensor, fitted: FittedPicture, original: Tensor, soft_edge: float
) -> Tensor:
    """The IMAGE `original` with squares (b, 3, any, any) put back.

    Its transparency stays, and beside the squares so do pixels beyond [0, 1] (of a sharp resize)
    and their type: the same numbers in float32 can be other pixels to ComfyUI's Save Image.

    Raises:
        ValueError: another size than the one that was fitted, or other numbers of images.
    """
    pictures = to_images(original, "original")
    height, width = pictures.shape[2:]
    if (height, width) != fitted.fit.picture:
        raise ValueError(
            f"original has {width} x {height} pixels, but Fit Image got a picture of "
            f"{fitted.fit.picture[1]} x {fitted.fit.picture[0]}; connect the same picture to both."
        )
    numbers = {"image": len(squares), "original": len(pictures), "fit": len(fitted.fit.places)}
    numbers |= {} if fitted.mask is None else {"mask": len(fitted.mask)}
    if len(set(numbers.values()) - {1}) > 1:
        found = ", ".join(f"{name} {number}" for name, number in numbers.items())
        raise ValueError(f"the numbers of images differ ({found}); expected as many, or one.")
    made = from_images(paste(squares, fitted.fit, pictures, fitted.mask, soft_edge / 100))
    same = made == pictures.movedim(1, 3).to(made)  # also what `to_images` had to clamp
    kind = original.dtype if original.dtype in (torch.float16, torch.float64) else made.dtype
    given, made = original.to(made.device, kind), made.to(kind)
    made = torch.where(same, given[..., :3], made)
    return torch.cat([made, given[..., 3:].expand(len(made), -1, -1, -1)], dim=3)


def _check_masks(masks: Tensor, images: int) -> None:
    if len(masks) != images and 1 not in (len(masks), images):
        raise ValueError(
            f"mask has a batch of {len(masks)} and image one of {images}; expected as many, or one."
        )
    if any(white_part(mask) is None for mask in masks):
        raise ValueError(
            "mask is 0 everywhere, so nothing may change; expected 1 (white) where the image may "
            "change. Paint it with Open in MaskEditor, or in Fit Image disconnect it."
        )
