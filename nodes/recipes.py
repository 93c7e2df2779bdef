"""Losses as they travel between nodes: recipes, built where gradients are allowed.

A recipe is a flat list of weighted terms. It holds no tensor on the GPU and no library loss: those
are made by the optimizer, inside `gradient_scope`, for the batch and image size at hand.
Axes: b images, h and w pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..tokenopt_core.clip_loss import ClipLoss
from ..tokenopt_core.losses import Loss, MaskedL1Loss
from ..tokenopt_core.tokenizers.base import fit_images
from .types import LoadedGuide


@dataclass(frozen=True, eq=False)
class ClipTerm:
    """Similarity with a prompt: one for all images, or one each."""

    guide: LoadedGuide
    prompts: tuple[str, ...]
    negative_prompt: str | None
    crops: int
    weight: float
    negative_weight: float
    mirror: bool

    def build(self, device: torch.device, image_size: int, batch: int) -> ClipLoss:
        """The library's loss; raises ValueError where the prompts do not match the batch."""
        if len(self.prompts) not in (1, batch):
            raise ValueError(
                f"prompt has {len(self.prompts)} lines for {batch} images; expected one line for "
                "all, or one line per image."
            )
        return ClipLoss(
            self.guide.module,
            self.prompts,
            self.negative_prompt,
            crops=self.crops,
            flip=self.mirror,
            negative_weight=self.negative_weight,
        )


@dataclass(frozen=True, eq=False)
class MaskedL1Term:
    """Distance to the target where the mask (1 = may change) is 0."""

    target: Tensor = field(repr=False)  # (1 | b, 3, h, w)
    mask: Tensor = field(repr=False)  # (1 | b, 1, h, w)
    weight: float

    def build(self, device: torch.device, image_size: int, batch: int) -> MaskedL1Loss:
        """The library's loss; raises ValueError where image or mask do not match the batch."""
        for kind, tensor in (("image", self.target), ("mask", self.mask)):
            if len(tensor) not in (1, batch):
                raise ValueError(
                    f"{kind} of L1 Masked Loss has a batch of {len(tensor)}, but {batch} images "
                    "are optimized; expected one for all, or one each."
                )
        target = fit_images(self.target, image_size)
        mask = fit_images(self.mask.expand(-1, 3, -1, -1), image_size)[:, :1]
        return MaskedL1Loss(target.to(device), mask.to(device))


@dataclass(frozen=True, eq=False)
class LossRecipe:
    """What a loss socket carries: terms to be added up."""

    terms: tuple[ClipTerm | MaskedL1Term, ...]

    @property
    def guides(self) -> tuple[LoadedGuide, ...]:
        """The models that have to be loaded, each once."""
        return tuple(dict.fromkeys(t.guide for t in self.terms if isinstance(t, ClipTerm)))

    def build(self, device: torch.device, image_size: int, batch: int) -> list[tuple[float, Loss]]:
        """Weight and library loss of each term, for so many images of this size."""
        return [(term.weight, term.build(device, image_size, batch)) for term in self.terms]
