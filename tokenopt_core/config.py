"""The settings of an optimization and the record of one step: frozen values, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor

REGULARIZERS = ("none", "seed", "zero")


@dataclass(frozen=True, kw_only=True)
class OptimizeConfig:
    """How to optimize.

    Args:
        steps: number of decoded images, 1 or more.
        lr: Adam's step size, above 0.
        quantize: decode quantized tokens; False starts from the quantized tokens and lets them
            leave the codebook (the paper's ablation, prone to adversarial images).
        ema_decay: decay of the features' moving average, 0 (off) to below 1.
        token_noise: standard deviation of the noise on the features a step looks at; it falls to 0
            along a cosine over the first two thirds of the steps.
        regularize: keep the features near the start ("seed"), near zero ("zero") or free ("none").
        reg_weight: weight of the mean squared distance, 0 or more.
        reset_every: re-encode the image after every so many steps, through `reset`; 0 is never.
        hold_norm: keep the length of every token where the codebook looks at directions only. Such
            a loss does not see the length, every step adds to it, and the same lr would turn the
            token less and less. "zero" controls the length by itself and switches this off.
        official_rules: follow the published code where this one differs on purpose: pixels reach
            the loss unclamped, noise stays in the features, the average starts at the first value
            without bias correction, a reset keeps Adam's moments and the average, `hold_norm` is
            off.
    """

    steps: int = 300
    lr: float = 0.1
    quantize: bool = True
    ema_decay: float = 0.0
    token_noise: float = 0.0
    regularize: str = "none"
    reg_weight: float = 0.0
    reset_every: int = 0
    hold_norm: bool = True
    official_rules: bool = False

    def __post_init__(self) -> None:
        _check(
            self,
            "steps",
            isinstance(self.steps, int) and self.steps >= 1,
            "an integer of 1 or more",
        )
        _check(self, "lr", 0 < self.lr < math.inf, "a number above 0")
        _check(self, "ema_decay", 0 <= self.ema_decay < 1, "a number from 0 to below 1")
        _check(self, "token_noise", 0 <= self.token_noise < math.inf, "a number of 0 or more")
        _check(
            self, "regularize", self.regularize in REGULARIZERS, f"one of {', '.join(REGULARIZERS)}"
        )
        _check(self, "reg_weight", 0 <= self.reg_weight < math.inf, "a number of 0 or more")
        resets = isinstance(self.reset_every, int) and self.reset_every >= 0
        _check(self, "reset_every", resets, "an integer of 0 or more")

    def noise_scale(self, index: int) -> float:
        """The noise's standard deviation at step `index`."""
        progress = min(1.0, 1.5 * index / max(1, self.steps - 1))
        return self.token_noise * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class Step:
    """One step: what was looked at, how good it was, and where the features went. Detached copies.

    `images`, `loss`, `terms`, `penalty` and `codes` belong to `features`; `next_features` and
    `averaged` are the state after the step.
    """

    index: int
    features: Tensor  # (b, n, d), noise included
    codes: Tensor | None  # (b, n) int64, None where nothing is quantized
    images: Tensor  # (b, 3, s, s) in [0, 1] (as decoded under official_rules)
    loss: Tensor  # (b,), the sum of the terms, without the penalty
    terms: dict[str, Tensor] = field(repr=False)  # (b,) each
    penalty: Tensor  # (b,), the weighted regularizer
    next_features: Tensor  # (b, n, d)
    averaged: Tensor  # (b, n, d), next_features where there is no average


def _check(config: OptimizeConfig, name: str, valid: bool, expected: str) -> None:
    if not valid:
        raise ValueError(f"{name} is {getattr(config, name)!r}: expected {expected}.")
