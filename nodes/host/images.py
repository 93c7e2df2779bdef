"""Conversions between the images and masks of ComfyUI and of PIL and the library's tensors.

ComfyUI: IMAGE (b, h, w, c), MASK (b, h, w) or (h, w). Library: (b, c, h, w) float32 in [0, 1].
Every function returns new tensors: what comes from other nodes is never changed or kept.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...tokenopt_core.images.resize import resize
from .compat import model_management

WRONG_SCALE, WRONG_MEAN = 16, 4  # no image whose white is 1


def to_images(image: Tensor, name: str = "image") -> Tensor:
    """Images (b, 3, h, w) of an IMAGE with 1 (grey), 3 or 4 channels; alpha is ignored.

    Raises:
        ValueError: not an image batch; `name` is the input's name in the message.
    """
    if not isinstance(image, Tensor) or image.ndim != 4 or 0 in image.shape:
        raise ValueError(
            f"{name} has shape {_shape(image)}, expected (batch, height, width, channels) with at "
            "least one pixel; connect an IMAGE output."
        )
    if image.shape[3] not in (1, 3, 4):
        raise ValueError(
            f"{name} has {image.shape[3]} channels, expected 1 (grey), 3 (RGB) or 4 (RGBA); "
            "convert it to RGB first."
        )
    rgb = image[..., :3].expand(*image.shape[:3], 3)
    return _copy(rgb.movedim(3, 1), name)  # (b, h, w, 3) -> (b, 3, h, w)


def to_masks(mask: Tensor, size: tuple[int, int], name: str = "mask") -> Tensor:
    """Masks (b, 1, height, width) of a MASK, resized to `size` = (height, width) pixels.

    Raises:
        ValueError: not a mask batch; `name` is the input's name in the message.
    """
    if not isinstance(mask, Tensor) or not _is_mask(mask):
        raise ValueError(
            f"{name} has shape {_shape(mask)}, expected (batch, height, width) or (height, width) "
            "with at least one pixel; connect a MASK output."
        )
    masks = _copy(mask.reshape(-1, 1, *mask.shape[-2:]), name)
    return resize(masks, size, "bilinear")


def from_images(images: Tensor) -> Tensor:
    """IMAGE (b, h, w, 3) of images (b, 3, h, w), clamped to [0, 1], where ComfyUI keeps its own."""
    image = images.detach().float().clamp(0, 1).movedim(1, 3).contiguous()
    return image.to(model_management.intermediate_device())


def from_masks(masks: Tensor) -> Tensor:
    """MASK (b, h, w) of masks (b, 1, h, w) in [0, 1], where ComfyUI keeps its own."""
    return masks[:, 0].detach().float().contiguous().to(model_management.intermediate_device())


def preview(images: Tensor, most: int = 4) -> Image.Image:
    """The first images of a batch (b, 3, h, w), side by side."""
    return to_pil(torch.cat(list(images[:most]), dim=2))  # (3, h, most * w)


def to_pil(image: Tensor) -> Image.Image:
    """The PIL image of an image (3, h, w), clamped to [0, 1]."""
    pixels = image.detach().float().clamp(0, 1).movedim(0, 2) * 255  # (h, w, 3)
    return Image.fromarray(pixels.round().byte().cpu().numpy())


def from_pil(*images: Image.Image) -> Tensor:
    """Images (b, 3, h, w) in [0, 1] of RGB images of PIL, which have one size."""
    pixels = np.stack([np.asarray(image) for image in images])  # (b, h, w, 3)
    return torch.from_numpy(pixels).movedim(3, 1).float() / 255


def _copy(values: Tensor, name: str) -> Tensor:
    """A float32 copy in [0, 1] on the CPU, usable with gradients."""
    if not values.is_floating_point() and values.dtype != torch.bool:
        raise ValueError(
            f"{name} has numbers of type {values.dtype}, expected floating point numbers from 0 to "
            "1; convert them, bytes by dividing by 255."
        )
    with torch.inference_mode(False):
        values = values.detach().to("cpu", torch.float32)
        values = values.clone(memory_format=torch.contiguous_format)  # a batch may be gigabytes
        low, high = values.aminmax()
        if not (low.isfinite() and high.isfinite()):
            raise ValueError(
                f"{name} contains NaN or infinite numbers, expected numbers from 0 to 1; check the "
                "node it comes from."
            )
        # A little too much is the overshoot of a filter, and a few bright lamps are HDR.
        if high > WRONG_SCALE and values.mean() > WRONG_MEAN:
            raise ValueError(
                f"{name} has numbers up to {float(high):g} and about {float(values.mean()):.3g}, "
                "expected numbers from 0 to 1; divide them by 255 if they are bytes."
            )
        return values.clamp_(0, 1)


def _is_mask(mask: Tensor) -> bool:
    """Whether it is (h, w), (b, h, w) or (b, 1, h, w) with pixels."""
    layout = mask.ndim in (2, 3) or (mask.ndim == 4 and mask.shape[1] == 1)
    return layout and 0 not in mask.shape


def _shape(value: object) -> object:
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
