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
