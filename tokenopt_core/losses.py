"""What an image should become: losses as plain callables that compose by weighting.

A loss takes images (b, 3, h, w) in [0, 1] and gives one number per image (b,), lower is better,
differentiable in the images. Any function of that kind will do. Two methods are used when present:

`seeded(seeds) -> loss`
    A copy that draws its random numbers from one CPU generator per image, advancing at each call.
    Called once per run; the place to check what the whole run needs.
`terms(images) -> dict[str, (b,)]`
    The weighted parts by name; the loss is their sum.

Axes: b images, h x w pixels. The losses of arXiv 2506.08257, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Loss(Protocol):
    """Images (b, 3, h, w) in [0, 1] -> loss (b,), lower is better, differentiable."""

    def __call__(self, images: Tensor) -> Tensor: ...


def seeded(loss: Loss, seeds: Sequence[int]) -> Loss:
    """The loss with randomness from `seeds`, one per image; a loss without any as it is."""
    return loss.seeded(seeds) if hasattr(loss, "seeded") else loss


def loss_terms(loss: Loss, images: Tensor) -> dict[str, Tensor]:
    """The loss's weighted parts (b,) by name; a plain function is one part under its own name."""
    if hasattr(loss, "terms"):
        return loss.terms(images)
    return {getattr(loss, "name", None) or getattr(loss, "__name__", "loss"): loss(images)}


class MaskedL1Loss:
    """The mean absolute difference to `target` over the known pixels of each image.

    A soft mask weights the pixels; the mean is over the known share, so the size of the hole does
    not change the loss's scale (the published experiments divide by all pixels).
    """

    def __init__(self, target: Tensor, mask: Tensor, name: str = "l1"):
        """
        Args:
            target: (1 or b, 3, h, w) in [0, 1], the image that known pixels should have.
            mask: (1 or b, 1, h, w) in [0, 1]; 1 = may change, 0 = known.
            name: the loss's name among the terms.
        """
        if target.ndim != 4 or target.shape[1] != 3:
            raise ValueError(f"target has shape {tuple(target.shape)}: expected (1 or b, 3, h, w).")
        if mask.ndim != 4 or mask.shape[1] != 1 or mask.shape[2:] != target.shape[2:]:
            raise ValueError(
                f"mask has shape {tuple(mask.shape)}: expected (1 or b, 1, h, w) of the target's "
                f"size, {target.shape[2]} x {target.shape[3]}."
            )
        with torch.inference_mode(False):  # clones: both may come from a node, as inference tensors
            self._target = target.detach().clone().float()
            self._known = 1 - mask.detach().clone().float()
        if self._known.min() < 0 or self._known.max() > 1:
            raise ValueError("mask has values outside [0, 1]: 1 = may change, 0 = known.")
        if not (self._known.sum((1, 2, 3)) > 0).all():
            raise ValueError(
                "mask lets every pixel change, so no known pixel is left to compare with."
            )
        self.name = name

    def __call__(self, images: Tensor) -> Tensor:
        target, known = self._for(images)
        difference = ((images - target).abs() * known).sum((1, 2, 3))
        return difference / (known.sum((1, 2, 3)) * images.shape[1])

    def composite(self, images: Tensor) -> Tensor:
        """The target where pixels are known, `images` where they may change: (b, 3, h, w)."""
        target, known = self._for(images)
        return target * known + images * (1 - known)

    def _for(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Target and known share on the images' device (moved once), after a look at shapes."""
        shape, counts = self._target.shape, {len(self._target), len(self._known)}
        if images.shape[1:] != shape[1:] or not counts <= {1, len(images)}:
            raise ValueError(
                f"{self.name} compares images {tuple(images.shape)} with a target {tuple(shape)} "
                f"and {len(self._known)} masks: resize the target to the images, and give one of "
                "each or one per image."
            )
        with torch.inference_mode(False):
            self._target = self._target.to(images.device)
            self._known = self._known.to(images.device)
        return self._target, self._known


class WeightedSum:
    """A weighted sum of losses, with the curve of every part kept."""

    def __init__(self, parts: Sequence[tuple[float, Loss]]):
        """
        Args:
            parts: weight and loss of each part; the weight may be negative, then the part is driven
                up.
        """
        self.parts = [(float(weight), loss) for weight, loss in parts]
        if not self.parts:
            raise ValueError("WeightedSum has no parts: give at least one (weight, loss).")
        for weight, loss in self.parts:
            if not math.isfinite(weight):
                raise ValueError(f"WeightedSum has the weight {weight}: expected a finite number.")
            if not callable(loss):
                raise ValueError(f"WeightedSum has {loss!r} as a loss: expected a callable.")

    def seeded(self, seeds: Sequence[int]) -> WeightedSum:
        """A copy with every part seeded."""
        return WeightedSum([(weight, seeded(loss, seeds)) for weight, loss in self.parts])

    def terms(self, images: Tensor) -> dict[str, Tensor]:
        """The weighted terms of every part; a name that is taken gets a number."""
        result: dict[str, Tensor] = {}
        for weight, loss in self.parts:
            for name, value in loss_terms(loss, images).items():
                result[_free_name(name, result)] = weight * value
        return result

    def __call__(self, images: Tensor) -> Tensor:
        return sum(self.terms(images).values())


def _free_name(name: str, taken: dict[str, Tensor]) -> str:
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name} {number}"
    return candidate
