"""The moving average of the features, safe with any number of steps."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .adam import share


class Average(NamedTuple):
    """The average of each image's features so far."""

    value: Tensor  # (b, n, d); before the first step the features themselves
    count: Tensor  # (b, 1, 1), number of values in it

    @staticmethod
    def none(value: Tensor) -> Average:
        """That of features (b, n, d) of which none counts yet."""
        return Average(value, value.new_zeros(len(value), 1, 1))


def add_to_average(
    average: Average, value: Tensor, decay: float, *, bias_corrected: bool = True
) -> Average:
    """The exponential moving average after one more value (b, n, d), right from the first one on.

    With decay d the bias-corrected average after t values is sum_k d^(t-k) z_k * (1 - d) / (1 -
    d^t): the same as stepping towards the newest value by (1 - d) / (1 - d^t), so no zero start has
    to be divided out. `bias_corrected=False` is the published rule (the first value is copied, then
    steps of 1 - d), whose first value still weighs 68 % after 20 steps at d = 0.98.
    """
    count = average.count + 1
    if bias_corrected:
        weight = share(decay, torch.ones_like(count)) / share(decay, count)
    else:
        weight = torch.where(count == 1, 1.0, 1 - decay)
    return Average(average.value.lerp(value, weight), count)
