"""The loss interface, and the weighted sum of losses (arXiv 2506.08257, section 4).

A loss takes images (b, 3, h, w) in [0, 1] and gives one number per image (b,), lower is better,
differentiable in the images. Any function of that kind is one; a loss that has random numbers, a
schedule, models or several parts derives from `Loss` and overrides what it needs.

Axes: b images, h x w pixels.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Container, Sequence
from inspect import signature
from typing import Any, TypeVar

import torch
from torch import Tensor

LossFunction = Callable[[Tensor], Tensor]  # images (b, 3, h, w) -> (b,); a `Loss` is one too
Self = TypeVar("Self", bound="Loss")


class Loss:
    """Images (b, 3, h, w) in [0, 1] -> loss (b,), lower is better, differentiable.

    A subclass overrides `__call__`, or `terms` where the loss has several parts, and whatever else
    it has. No method changes the loss: each returns a copy, or the loss itself.
    """

    name = "loss"

    def __call__(self, images: Tensor, /) -> Tensor:
        """The sum of the terms (b,)."""
        return sum(self.terms(images).values())

    def terms(self, images: Tensor) -> dict[str, Tensor]:
        """The weighted parts (b,) by name, the same names at each step; the loss is their sum."""
        if type(self).__call__ is Loss.__call__:
            raise NotImplementedError(f"{type(self).__name__} has neither __call__ nor terms.")
        return {self.name: self(images)}

    def seeded(self: Self, seeds: Sequence[int], calls: int = 0) -> Self:
        """A copy that draws its random numbers from one CPU generator per image.

        Called once per run; the place to check what the whole run needs.

        Args:
            seeds: one per image.
            calls: evaluations of an earlier run that this one continues.
        """
        return self._map(lambda loss: loss.seeded(seeds, calls))

    def started(self: Self, start: Callable[[], Tensor]) -> Self:
        """A copy for a run that starts from the images (b, 3, h, w) in [0, 1] that `start` makes.

        Called once per run, after `seeded`. The images cost a decoding: a loss that compares with
        none does not ask for them.
        """
        return self._map(lambda loss: loss.started(start))

    def at(self: Self, progress: float) -> Self:
        """A copy for this moment of the run, from 0 (first step) to 1 (last)."""
        return self._map(lambda loss: loss.at(progress))

    def cast(self: Self, dtype: torch.dtype, device: torch.device | None = None) -> Self:
        """A copy whose models compute in `dtype`, their weights rounded once (float32: as is).

        Called before a run or a search. Models that stay as they are run under autocast.

        Args:
            device: where the models are to be; None is where they are.
        """
        return self._map(lambda loss: loss.cast(dtype, device))

    def lowered(self: Self, dtype: torch.dtype, device: torch.device | None = None) -> Self:
        """`cast` by its name until version 0.2, which losses of others call on those they wrap."""
        return self.cast(dtype, device)

    @property
    def scheduled(self) -> bool:
        """Whether it changes during the run, so that values of different steps do not compare.

        True of a class that overrides `at`; override it where that depends on the settings.
        """
        return type(self).at is not Loss.at

    def remarks(self) -> list[str]:
        """Sentences for the user about inputs that are allowed but will surprise."""
        return []

    def _map(self: Self, change: Callable[[Loss], Loss]) -> Self:
        """A copy with `change` made to the losses inside; a loss without any as it is."""
        return self


class CallableLoss(Loss):
    """A function of somebody else, with the methods of `Loss` that it happens to have."""

    def __init__(self, function: LossFunction):
        self.function = function
        name = getattr(function, "name", None) or getattr(function, "__name__", "loss")
        self.name = str(name)

    def __call__(self, images: Tensor, /) -> Tensor:
        return check_losses(self.name, self.function(images), len(images))

    def terms(self, images: Tensor) -> dict[str, Tensor]:
        """The function's own terms (b,), a name that is taken with a number; else one term."""
        if not hasattr(self.function, "terms"):
            return super().terms(images)
        terms: dict[str, Tensor] = {}
        for name, values in self.function.terms(images).items():
            terms[free_name(str(name), terms)] = check_losses(str(name), values, len(images))
        return terms

    def seeded(self, seeds: Sequence[int], calls: int = 0) -> CallableLoss:
        """A copy with the function seeded."""
        return self._having("seeded", seeds, *([calls] if calls else []))

    def started(self, start: Callable[[], Tensor]) -> CallableLoss:
        """A copy with the function told the images (b, 3, h, w) that the run starts from."""
        return self._having("started", start)

    def at(self, progress: float) -> CallableLoss:
        """A copy with the function at this share of the run."""
        return self._having("at", progress)

    def cast(self, dtype: torch.dtype, device: torch.device | None = None) -> CallableLoss:
        """A copy with the function's models in `dtype`, on `device` if the function takes one."""
        # Until version 0.2 the method was called `lowered`.
        method = "cast" if hasattr(self.function, "cast") else "lowered"
        if device is None or not hasattr(self.function, method):
            return self._having(method, dtype)
        movable = len(signature(getattr(self.function, method)).parameters) > 1
        return self._having(method, dtype, *([device] if movable else []))

    @property
    def scheduled(self) -> bool:
        """Whether the function has `at`, and does not say that it is the same during the run."""
        return hasattr(self.function, "at") and bool(getattr(self.function, "scheduled", True))

    def remarks(self) -> list[str]:
        """Those of the function."""
        return list(map(str, getattr(self.function, "remarks", list)()))

    def _having(self, method: str, *arguments: Any) -> CallableLoss:
        """A copy whose function is what `method` of the function returns, where it has that."""
        if not callable(getattr(self.function, method, None)):
            return self
        return CallableLoss(getattr(self.function, method)(*arguments))


def as_loss(loss: LossFunction, owner: str = "") -> Loss:
    """The loss itself, or any other function of images wrapped as one.

    Args:
        owner: the class that got it, for the message.

    Raises:
        ValueError: it cannot be called.
    """
    if isinstance(loss, Loss):
        return loss
    if callable(loss):
        return CallableLoss(loss)
    if owner:
        raise ValueError(f"{owner} has {loss!r} as a loss: expected a callable.")
    raise ValueError(
        f"loss: found the type {type(loss).__name__}, expected a callable from images to one "
        "number each, for example ClipLoss."
    )


def check_losses(name: str, values: Tensor, count: int) -> Tensor:
    """`values`, the losses (b,) of `count` images; raises ValueError if they are not."""
    if not isinstance(values, Tensor) or values.shape != (count,):
        kind = f"the type {type(values).__name__}"
        found = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else kind
        raise ValueError(
            f"the loss {name!r} has {found} for {count} images: expected one number per image, "
            f"({count},)."
        )
    return values


def free_name(name: str, taken: Container[str]) -> str:
    """The name, with a number behind it if it is taken."""
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name} {number}"
    return candidate


class WeightedSum(Loss):
    """A weighted sum of losses, with the curve of every part kept."""

    def __init__(self, parts: Sequence[tuple[float, LossFunction]]):
        """
        Args:
            parts: weight and loss of each part; the weight may be negative, then the part is driven
                up.
        """
        self.parts = [(float(weight), as_loss(loss, "WeightedSum")) for weight, loss in parts]
        if not self.parts:
            raise ValueError("WeightedSum has no parts: give at least one (weight, loss).")
        for weight, _ in self.parts:
            if not math.isfinite(weight):
                raise ValueError(f"WeightedSum has the weight {weight}: expected a finite number.")

    def terms(self, images: Tensor) -> dict[str, Tensor]:
        """The weighted terms (b,) of every part; a name that is taken gets a number."""
        terms: dict[str, Tensor] = {}
        for weight, loss in self.parts:
            for name, values in loss.terms(images).items():
                terms[free_name(name, terms)] = weight * values
        return terms

    @property
    def scheduled(self) -> bool:
        """Whether a part that counts is."""
        return any(weight and loss.scheduled for weight, loss in self.parts)

    def remarks(self) -> list[str]:
        """The remarks of every part, each once."""
        return list(dict.fromkeys(line for _, loss in self.parts for line in loss.remarks()))

    def _map(self, change: Callable[[Loss], Loss]) -> WeightedSum:
        other = copy.copy(self)
        other.parts = [(weight, change(loss)) for weight, loss in self.parts]
        return other
