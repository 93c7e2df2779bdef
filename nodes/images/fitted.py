"""Images of any size into the tokenizer's square and back: for Fit Image, Paste Back, easy nodes.

Axes: b images, h x w pixels of the image, s x s of the tokenizer's square.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...tokenopt_core.images.fit import (
    bounding_box,
    fit_around,
    fit_whole,
)
from ...tokenopt_core.images.paste import into_square, mask_into_square, paste
from ..host.images import from_images, to_images, to_masks
from ..host.sockets import FittedImages

SOFT_EDGE = 4.0  # percent


def fitted_images(
    images: Tensor,
    mask: Tensor | None,
    size: int,
    *,
    mode: str,
    position: float = 0.5,
    fill: str = "edge",
    margin: int | None = None,
) -> FittedImages:
    """How images (b, 3, h, w) and the MASK of what may change come into squares of `size`.

    Args:
        mode, position, fill: see `fit_whole`.
        margin: around the mask's white part, in percent; None fits the whole image.

    Raises:
        ValueError: numbers of images that do not fit, or a mask without white.
    """
    image_size = tuple(images.shape[2:])
    if mask is None:
        return FittedImages(fit_whole(image_size, size, mode, position, fill))
    masks = to_masks(mask, image_size)
    _check_masks(masks, len(images))
    if margin is not None:
        fit = fit_around(masks, size, mode, margin / 100, fill)
    else:
        fit = fit_whole(image_size, size, mode, position, fill)
    return FittedImages(fit, masks)


def squares_of(images: Tensor, fitted: FittedImages) -> tuple[Tensor, Tensor]:
    """Squares (b, 3, s, s) of images, and the masks (1 or b, 1, s, s) of what may change."""
    masks = images.new_ones(1, 1, *fitted.fit.image_size) if fitted.mask is None else fitted.mask
    return into_square(images, fitted.fit), mask_into_square(masks, fitted.fit)


def pasted_back(
    squares: Tensor, fitted: FittedImages, original: Tensor, soft_edge: float
) -> Tensor:
    """The IMAGE `original` with squares (b, 3, any, any) put back.

    Its transparency stays, and beside the squares so do pixels beyond [0, 1] (of a sharp resize)
    and their type: the same numbers in float32 can be other pixels to ComfyUI's Save Image.

    Raises:
        ValueError: another size than the one that was fitted, or other numbers of images.
    """
    images = to_images(original, "original")
    height, width = images.shape[2:]
    fitted_height, fitted_width = fitted.fit.image_size
    if (height, width) != (fitted_height, fitted_width):
        raise ValueError(
            f"original has {width} x {height} pixels, but Fit Image got an image of "
            f"{fitted_width} x {fitted_height}; connect the same image to both."
        )
    numbers = {"image": len(squares), "original": len(images), "fit": len(fitted.fit.places)}
    numbers |= {} if fitted.mask is None else {"mask": len(fitted.mask)}
    if len(set(numbers.values()) - {1}) > 1:
        counts = ", ".join(f"{name} {number}" for name, number in numbers.items())
        raise ValueError(f"the numbers of images differ ({counts}); expected as many, or one.")
    pasted = from_images(paste(squares, fitted.fit, images, fitted.mask, soft_edge / 100))
    same = pasted == images.movedim(1, 3).to(pasted)  # also what `to_images` had to clamp
    kind = original.dtype if original.dtype in (torch.float16, torch.float64) else pasted.dtype
    given, pasted = original.to(pasted.device, kind), pasted.to(kind)
    pasted = torch.where(same, given[..., :3], pasted)
    return torch.cat([pasted, given[..., 3:].expand(len(pasted), -1, -1, -1)], dim=3)


def _check_masks(masks: Tensor, images: int) -> None:
    if len(masks) != images and 1 not in (len(masks), images):
        raise ValueError(
            f"mask has a batch of {len(masks)} and image one of {images}; expected as many, or one."
        )
    if any(bounding_box(mask) is None for mask in masks):
        raise ValueError(
            "mask is 0 everywhere, so nothing may change; expected 1 (white) where the image may "
            "change. Paint it with Open in MaskEditor, or in Fit Image disconnect it."
        )
