"""The single terms of a loss recipe: each makes a loss of the library for the images at hand.

Axes: b images, h and w pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from ...tokenopt_core.images.fit import fit_images, fit_masks
from ...tokenopt_core.images.masks import feather
from ...tokenopt_core.losses.base import LossFunction
from ...tokenopt_core.losses.clip import ClipImageLoss, ClipLoss
from ...tokenopt_core.losses.masked import MaskedL1Loss, MaskedL2Loss, MaskedLoss
from ..host.memory import Level
from ..host.sockets import LoadedGuide
from .prompts import for_images

NORMS = {"L1": MaskedL1Loss, "L2": MaskedL2Loss}


@dataclass(frozen=True)
class Batch:
    """The images that a loss is made for: how many, how large, where, and in which chunks.

    Args:
        image_size: pixels of a side, those of the tokenizer.
        count: images of the batch.
        level: how much of it is computed at once.
    """

    device: torch.device
    image_size: int
    count: int = 1
    level: Level = Level.ALL

    def chunk_size(self, crops: int) -> int:
        """How many crops a guide sees in one pass, of so many of each image; 0 is all of them."""
        if self.level is Level.ALL:
            return 0
        return 1 if self.level is Level.ONE_CROP else max(1, crops)


class Term(Protocol):
    """One loss of a recipe, with its weight."""

    weight: float

    @property
    def guides(self) -> tuple[LoadedGuide, ...]:
        """The models that see the images."""

    def build(self, batch: Batch) -> LossFunction:
        """The library's loss for a batch; raises ValueError where the inputs do not fit it."""


@dataclass(frozen=True, eq=False)
class ClipTerm:
    """Similarity with a prompt: `lines` of text, one for all images or one each.

    Args:
        source: lines of the source prompt, none without it.
    """

    guide: LoadedGuide
    lines: tuple[str, ...]
    negative_prompt: str | None
    crops: int
    weight: float
    negative_weight: float
    mirror: bool
    source: tuple[str, ...] = ()
    preserve: float = 1.0

    @property
    def guides(self) -> tuple[LoadedGuide, ...]:
        return (self.guide,)

    def build(self, batch: Batch) -> ClipLoss:
        source = self.source and for_images(self.source, batch.count, "source_prompt")
        prompts = for_images(self.lines, batch.count)
        return self.loss(prompts, source, batch.chunk_size(self.crops))

    def loss(
        self, prompts: Sequence[str], source: Sequence[str] = (), chunk_size: int = 0
    ) -> ClipLoss:
        """The library's loss with these prompts; makes no tensor yet."""
        return ClipLoss(
            self.guide.module,
            prompts,
            self.negative_prompt,
            crops=self.crops,
            flip=self.mirror,
            negative_weight=self.negative_weight,
            source_prompt=source or None,
            preserve=self.preserve,
            chunk_size=chunk_size,
        )


@dataclass(frozen=True, eq=False)
class ImagePromptTerm:
    """Similarity with what an image shows."""

    guide: LoadedGuide
    image: Tensor = field(repr=False)  # (1 | b, 3, h, w)
    crops: int
    weight: float
    mirror: bool

    @property
    def guides(self) -> tuple[LoadedGuide, ...]:
        return (self.guide,)

    def build(self, batch: Batch) -> ClipImageLoss:
        check_batch("Image Prompt Loss", batch, image=self.image)
        module = self.guide.module
        image = fit_images(self.image, module.image_size)
        chunk_size = batch.chunk_size(self.crops)
        return ClipImageLoss(
            module, image, crops=self.crops, flip=self.mirror, chunk_size=chunk_size
        )


@dataclass(frozen=True, eq=False)
class MaskedTerm:
    """Distance to the target where the mask (1 = may change) is 0; `rim` feathers the mask."""

    target: Tensor = field(repr=False)  # (1 | b, 3, h, w)
    mask: Tensor = field(repr=False)  # (1 | b, 1, h, w)
    weight: float
    norm: str = "L1"
    rim: int = 0

    guides = ()

    def build(self, batch: Batch) -> MaskedLoss:
        check_batch("L1 Masked Loss", batch, image=self.target, mask=self.mask)
        target, mask = fitted(self.target, self.mask, self.rim, batch)
        return NORMS[self.norm](target, mask)


@dataclass(frozen=True, eq=False)
class CallableTerm:
    """Any loss in the library's sense: images (b, 3, h, w) -> (b,)."""

    function: LossFunction
    weight: float = 1.0

    guides = ()

    def build(self, batch: Batch) -> LossFunction:
        return self.function


def check_batch(node: str, batch: Batch, **tensors: Tensor) -> None:
    """Raises ValueError unless each tensor is of one image or of as many as are optimized."""
    for name, tensor in tensors.items():
        if len(tensor) not in (1, batch.count):
            raise ValueError(
                f"{name} of {node} has a batch of {len(tensor)}, but {batch.count} images are "
                "optimized; expected one for all, or one each."
            )


def fitted(target: Tensor, mask: Tensor, rim: int, batch: Batch) -> tuple[Tensor, Tensor]:
    """Target and feathered mask as the tokenizer sees them, (1 | b, 3 and 1, size, size)."""
    square = feather(fit_masks(mask, batch.image_size), rim).to(batch.device)
    return fit_images(target, batch.image_size).to(batch.device), square
