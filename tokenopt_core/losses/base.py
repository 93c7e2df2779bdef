"""What an image should become: losses as plain callables that compose by weighting.

A loss takes images (b, 3, h, w) in [0, 1] and gives one number per image (b,), lower is better,
differentiable in the images. Any function of that kind will do. These are used when present:

`seeded(seeds, calls=0) -> loss`
    A copy that draws its random numbers from one CPU generator per image, advancing at each call;
    it goes on as after so many calls. Called once per run; the place to check what the whole run
    needs.
`at(progress) -> loss`
    A copy for this moment of the run, from 0 (first step) to 1 (last). Called before each step.
`cast(dtype) -> loss`, or `cast(dtype, device) -> loss`
    A copy whose models compute in that type, their weights rounded once (float32: as they are).
    Called before a run or a search. A loss with models and without this still works: where the
    type is not float32 it is asked under autocast. The second form also has the copies on another
    device, which `optimize(device=...)` asks for.
`scheduled: bool`
    False: the loss has `at`, but asks for the same during the whole run.
`terms(images) -> dict[str, (b,)]`
    The weighted parts by name, the same names at each step; the loss is their sum.
`remarks() -> list[str]`
    Sentences for the user about inputs that are allowed but will surprise.

Axes: b images, h x w pixels. The losses of arXiv 2506.08257, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from inspect import signature
from typing import Protocol

import torch
from torch import Tensor


class Loss(Protocol):
    """Images (b, 3, h, w) in [0, 1] -> loss (b,), lower is better, differentiable."""

    def __call__(self, images: Tensor, /) -> Tensor: ...  # whatever its parameter is called


def seeded(loss: Loss, seeds: Sequence[int], calls: int = 0) -> Loss:
    """The loss with randomness from `seeds`, one per image; a loss without any as it is.

    Args:
        calls: looks of an earlier run that this one continues.
    """
    if not hasattr(loss, "seeded"):
        return loss
    return loss.seeded(seeds, calls) if calls else loss.seeded(seeds)


def at(loss: Loss, progress: float) -> Loss:
    """The loss at a share of the run from 0 to 1; a loss that never changes as it is."""
    return loss.at(progress) if hasattr(loss, "at") else loss


def cast(loss: Loss, dtype: torch.dtype, device: torch.device | None = None) -> Loss:
    """The loss with its models in `dtype`, on `device` if it is given and the loss can; without
    models of its own, as it is."""
    if not hasattr(loss, "cast"):
        return loss
    movable = device is not None and len(signature(loss.cast).parameters) > 1
    return loss.cast(dtype, device) if movable else loss.cast(dtype)


def is_scheduled(loss: Loss) -> bool:
    """Whether it asks for something else later in the run: then values of steps do not compare."""
    return hasattr(loss, "at") and getattr(loss, "scheduled", True)


def loss_terms(loss: Loss, images: Tensor) -> dict[str, Tensor]:
    """The loss's weighted parts (b,) by name; a plain function is one part under its own name."""
    if hasattr(loss, "terms"):
        found: dict[str, Tensor] = {}
        for name, value in loss.terms(images).items():
            found[free_name(str(name), found)] = value
        return found
    name = getattr(loss, "name", None) or getattr(loss, "__name__", "loss")
    return {str(name): loss(images)}


def remarks(loss: Loss) -> list[str]:
    """Sentences for the user about the loss's inputs, none for a plain function."""
    return list(map(str, loss.remarks())) if hasattr(loss, "remarks") else []


def free_name(name: str, taken: Container[str]) -> str:
    """The name, with a number behind it if it is taken."""
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name} {number}"
    return candidate


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

    def seeded(self, seeds: Sequence[int], calls: int = 0) -> WeightedSum:
        """A copy with every part seeded."""
        return WeightedSum([(weight, seeded(loss, seeds, calls)) for weight, loss in self.parts])

    def at(self, progress: float) -> WeightedSum:
        """A copy with every part at this share of the run."""
        return WeightedSum([(weight, at(loss, progress)) for weight, loss in self.parts])

    def cast(self, dtype: torch.dtype, device: torch.device | None = None) -> WeightedSum:
        """A copy with every part's models in `dtype`, on `device`."""
        return WeightedSum([(weight, cast(loss, dtype, device)) for weight, loss in self.parts])

    @property
    def scheduled(self) -> bool:
        """Whether a part that counts is."""
        return any(weight and is_scheduled(loss) for weight, loss in self.parts)

    def terms(self, images: Tensor) -> dict[str, Tensor]:
        """The weighted terms (b,) of every part; a name that is taken gets a number."""
        result: dict[str, Tensor] = {}
        for weight, loss in self.parts:
            for name, value in loss_terms(loss, images).items():
                result[free_name(name, result)] = weight * value
        return result

    def remarks(self) -> list[str]:
        """The remarks of every part, each once."""
        return list(dict.fromkeys(line for _, loss in self.parts for line in remarks(loss)))

    def __call__(self, images: Tensor) -> Tensor:
        return sum(self.terms(images).values())
