"""Adam (Kingma and Ba, 2014), written as a function from one state to the next.

Not `torch.optim.Adam`: in a batch every image has its own step count, because one image may stop or
sit out a step while the others move on; and old states stay valid, because nothing is changed in
place.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPS = 1e-8


class Moments(NamedTuple):
    """What Adam remembers of each image's gradients, in float32."""

    mean: Tensor  # (b, n, d)
    square: Tensor  # (b, n, d)
    count: Tensor  # (b, 1, 1), number of gradients seen

    @staticmethod
    def none(value: Tensor) -> Moments:
        """Those of a value (b, n, d) that has not moved yet."""
        zeros = torch.zeros_like(value)
        return Moments(zeros, zeros, value.new_zeros(len(value), 1, 1))


def adam_step(
    value: Tensor, gradient: Tensor, moments: Moments, lr: float
) -> tuple[Tensor, Moments]:
    """`value` (b, n, d) after one step against `gradient`, and what to remember: new tensors."""
    first, second = BETAS
    count = moments.count + 1
    mean = moments.mean.lerp(gradient, 1 - first)
    square = (moments.square * second).addcmul_(gradient, gradient, value=1 - second)
    scale = square.sqrt() / share(second, count).sqrt() + EPS
    moved = value.addcdiv(mean / share(first, count), scale, value=-lr)
    return moved, Moments(mean, square, count)


def share(decay: float, count: Tensor) -> Tensor:
    """1 - decay ** count: the weight that `count` values have in an average that began at 0.

    By expm1, because in float32 the power would round away what is left of 1 - 0.999.
    """
    return -torch.expm1(count * (math.log(decay) if decay else -math.inf))


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
