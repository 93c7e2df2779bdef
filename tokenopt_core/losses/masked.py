"""Losses of known pixels, and a loss of the image with its known pixels put back.

The inpainting losses of arXiv 2506.08257, section 4. Axes: b images, h x w pixels.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from ..checks import check_images, check_tensor
from ..images.masks import check_mask
from .base import Loss, LossFunction, as_loss


class MaskedLoss(Loss):
    """The mean distance to `target` over the known pixels of each image.

    A soft mask weights the pixels; the mean is over the known share, so the size of the hole does
    not change the loss's scale (the published experiments divide by all pixels). An image without
    a known pixel has the loss 0; a mask that leaves none to any image is an error.
    """

    def __init__(self, target: Tensor, mask: Tensor, name: str | None = None):
        """
        Args:
            target: (1 or b, 3, h, w) in [0, 1], the image that known pixels should have.
            mask: (1 or b, 1, h, w) in [0, 1]; 1 = may change, 0 = known. See `feather`.
            name: the loss's name among the terms, "l1" or "l2" unless given.
        """
        self._known = KnownPixels(target, mask)
        if not self._known.any_known():
            raise ValueError(
                "mask lets every pixel change, so no known pixel is left to compare with."
            )
        self.name = name or self.name

    def __call__(self, images: Tensor) -> Tensor:
        target, known = self._known.on(images, self.name)
        difference = (self._distance(images - target) * known).sum((1, 2, 3))
        pixels = known.sum((1, 2, 3)) * images.shape[1]
        return difference / torch.where(pixels > 0, pixels, 1)

    def composite(self, images: Tensor) -> Tensor:
        """The target where pixels are known, `images` where they may change: (b, 3, h, w)."""
        return self._known.composite(images, self.name)

    def _distance(self, difference: Tensor) -> Tensor:
        raise NotImplementedError


class MaskedL1Loss(MaskedLoss):
    """The mean absolute difference to `target` over the known pixels of each image."""

    name = "l1"

    def _distance(self, difference: Tensor) -> Tensor:
        return difference.abs()


class MaskedL2Loss(MaskedLoss):
    """The mean squared difference to `target` over the known pixels of each image.

    Large differences count more than with L1, small ones hardly at all.
    """

    name = "l2"

    def _distance(self, difference: Tensor) -> Tensor:
        return difference.square()


class MaskedComposite(Loss):
    """A loss that sees the original outside the mask and the optimized image inside.

    So a prompt is evaluated on the image as it will be put together, and pixels outside the mask
    get no gradient from it.
    """

    def __init__(self, loss: LossFunction, target: Tensor, mask: Tensor):
        """
        Args:
            loss: any loss; its terms keep their names.
            target: (1 or b, 3, h, w) in [0, 1], the original.
            mask: (1 or b, 1, h, w) in [0, 1]; 1 = may change, 0 = original. See `feather`.
        """
        self.loss = as_loss(loss, "MaskedComposite")
        self._known = KnownPixels(target, mask)
        if not self._known.any_free():
            raise ValueError("mask lets no pixel change, so the loss would only see the original.")

    @property
    def scheduled(self) -> bool:
        """Whether the inner loss is."""
        return self.loss.scheduled

    def __call__(self, images: Tensor, /) -> Tensor:
        return self.loss(self.composite(images))

    def terms(self, images: Tensor) -> dict[str, Tensor]:
        """The inner loss's terms (b,), of the composite."""
        return self.loss.terms(self.composite(images))

    def remarks(self) -> list[str]:
        """The inner loss's remarks."""
        return self.loss.remarks()

    def started(self, start: Callable[[], Tensor]) -> MaskedComposite:
        """A copy whose inner loss knows the start (b, 3, h, w) as it sees images, put together."""
        return self._map(lambda loss: loss.started(lambda: self.composite(start())))

    def composite(self, images: Tensor) -> Tensor:
        """The original where pixels are known, `images` where they may change: (b, 3, h, w)."""
        return self._known.composite(images, "the masked composite")

    def _map(self, change: Callable[[Loss], Loss]) -> MaskedComposite:
        other = copy.copy(self)
        other.loss = change(self.loss)
        return other


class KnownPixels:
    """A target image and the share of each pixel that is known, on the device where images are."""

    def __init__(self, target: Tensor, mask: Tensor):
        """
        Args:
            target: (1 or b, 3, h, w) in [0, 1].
            mask: (1 or b, 1, h, w) in [0, 1].
        """
        check_images(target, "target", "1 or b")
        if not target.isfinite().all():
            raise ValueError("target has pixels that are no numbers: check where it comes from.")
        check_mask(mask, tuple(target.shape[2:]))
        with torch.inference_mode(False):  # clones: both may come from a node, as inference tensors
            self._target = target.detach().clone().float()
            self._known = 1 - mask.detach().clone().float()

    def any_known(self) -> bool:
        """Whether any image has something to keep."""
        return bool((self._known > 0).any())

    def any_free(self) -> bool:
        """Whether every image has something that may change."""
        return bool((self._known < 1).flatten(1).any(1).all())

    def on(self, images: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """Target and known share on the images' device, after a look at shapes; moved once.

        Args:
            images: (b, 3, h, w).
            name: of the loss that asks, for the message.
        """
        check_tensor(images, f"images of {name}", "(b, 3, h, w)")
        shape, counts = self._target.shape, {len(self._target), len(self._known)}
        if images.shape[1:] != shape[1:] or not counts <= {1, len(images)}:
            raise ValueError(
                f"{name} compares images {tuple(images.shape)} with a target {tuple(shape)} "
                f"and {len(self._known)} masks: resize the target to the images, and give one of "
                "each or one per image."
            )
        with torch.inference_mode(False):
            self._target = self._target.to(images.device)
            self._known = self._known.to(images.device)
        return self._target, self._known

    def composite(self, images: Tensor, name: str) -> Tensor:
        """The target where pixels are known, `images` where they may change: (b, 3, h, w)."""
        target, known = self.on(images, name)
        return target * known + images * (1 - known)
