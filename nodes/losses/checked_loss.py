"""A loss of another pack, whose mistakes are told in words."""

from __future__ import annotations

from torch import Tensor

from ...tokenopt_core.losses.base import Loss


class CheckedLoss:
    """A function of another pack, with a look at what it gives."""

    def __init__(self, function: Loss):
        self._function = function
        self.name = getattr(function, "name", None) or getattr(function, "__name__", "loss")

    def __call__(self, images: Tensor) -> Tensor:
        value = self._function(images)
        if not isinstance(value, Tensor) or value.shape != images.shape[:1]:
            found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(
                f"the loss {self.name!r} gave {found} for {len(images)} images; expected a tensor "
                f"with one number per image, ({len(images)},)."
            )
        return value
