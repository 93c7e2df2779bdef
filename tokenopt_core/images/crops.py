"""Random crops as linear maps: crop, flip and resize are one small matrix per axis.

A crop of a row, its mirror image and its resampling are all linear, so for each crop there is a
matrix per axis, and the crops of a whole batch are two batched matrix products: few kernels,
deterministic also in the backward pass (torch's interpolation is not, on CUDA), each image with its
own draws. Where the crop has the wanted size the matrices select, and the pixels are exactly those
of a slice.

Axes: b images, n crops of each, c channels, h x w pixels; o pixels of an output side.
Random crops are what keeps a CLIP guided optimization from adversarial images (arXiv 2506.08257,
4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..compute.half_precision import autocast
from ..compute.seeds import send, uniform


def crop_side(height: int, width: int, area: float) -> int:
    """Side in pixels of a square with the share `area` (0, 1] of the image's largest square."""
    return max(1, round(area**0.5 * min(height, width)))


def draw_crops(
    sources: Sequence[Generator], count: int, rows: int, columns: int, flip: bool
) -> Tensor:
    """Crops (b, count, 3) int64 on the CPU: top, left and mirrored (0 or 1), drawn per image.

    Args:
        sources: one CPU generator per image; each advances by the same amount, whatever the batch.
        rows, columns: number of possible offsets, that is image side - crop side + 1.
    """
    limits = torch.tensor([rows, columns, 2 if flip else 1])
    return (uniform(sources, (count, 3)) * limits).long().minimum(limits - 1)


def take_crops(images: Tensor, crops: Tensor, sides: tuple[int, int], size: int) -> Tensor:
    """The crops of every image, resized: (b, n, c, size, size), differentiable in the images.

    Args:
        images: (b, c, h, w), any range.
        crops: (b, n, 3) int64 as `draw_crops` makes them, on any device.
        sides: height and width of every crop in pixels, at most h and w.
        size: side o of the result. Bilinear, antialiased where it is smaller than the crop.
    """
    b, c, h, w = images.shape
    n = crops.shape[1]
    top, left, mirrored = send(crops, images.device).unbind(2)
    rows = _windows(h, sides[0], size, images.device)[h - sides[0] - top]  # (b, n, o, h)
    columns = _windows(w, sides[1], size, images.device)[w - sides[1] - left]  # (b, n, o, w)
    columns = torch.where(mirrored[..., None, None].bool(), columns.flip(2), columns)
    with autocast(torch.float32, images.device):  # half precision would round the pixels
        flat = images.float().transpose(1, 2).reshape(b, h, c * w)
        flat = rows.reshape(b, n * size, h) @ flat  # (b, n o, c w): the rows of every crop
        flat = flat.view(b * n, size * c, w) @ columns.reshape(b * n, size, w).transpose(1, 2)
    return flat.view(b, n, size, c, size).transpose(2, 3)


def squash(images: Tensor, size: int) -> Tensor:
    """The whole images (b, c, size, size), resized by the same maps: squeezed, never cropped."""
    whole = torch.zeros(len(images), 1, 3, dtype=torch.int64)
    return take_crops(images, whole, tuple(images.shape[2:]), size)[:, 0]


@lru_cache(maxsize=16)
def _windows(length: int, side: int, size: int, device: torch.device) -> Tensor:
    """(length - side + 1, size, length): matrix k resamples the last `side` pixels but k to `size`.

    A view that slides along one padded matrix, so the table of all offsets takes no memory.
    """
    if side > length:
        raise ValueError(f"a crop of {side} pixels does not fit into an image side of {length}.")
    with torch.inference_mode(False), torch.no_grad():  # cached: must not be an inference tensor
        eye = torch.eye(side)[None, None]  # on the CPU: the same weights on every device
        matrix = F.interpolate(eye, size=(size, side), mode="bilinear", antialias=True)[0, 0]
        padded = F.pad(matrix, (length - side, length - side)).to(device)
        return padded.unfold(1, length, 1).transpose(0, 1)
