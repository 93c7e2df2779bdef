"""The settings of an optimization and the record of one step: frozen values, checked once."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real

from ..checks import convert_fields, python_number, shown
from ..compute.precision import PRECISIONS
from ..tokenizers.spec import SCHEDULES, TokenizerSpec

MOST = sys.float_info.max
REGULARIZERS = ("none", "seed", "zero")
AUTO = "auto"
LR_SCHEDULES = (AUTO, *SCHEDULES)
KEEPS = ("last", "average", "best")


@dataclass(frozen=True, kw_only=True)
class OptimizeConfig:
    """How to optimize.

    Args:
        steps: number of decoded images, 1 or more.
        lr: Adam's step size, above 0. "auto" is what the tokenizer recommends, see `resolved`.
        lr_schedule: "constant", or "cosine", which falls from lr to almost 0 at the last step.
            "auto" belongs to an lr of "auto", and becomes constant beside any other.
        warmup: number of first steps in which lr grows evenly to its full value; 0 is none.
        max_grad_norm: longest gradient of an image; a longer one is shortened to it. 0 is no limit.
        quantize: decode quantized tokens; False starts from the quantized tokens and lets them
            leave the codebook (the paper's ablation, prone to adversarial images).
        ema_decay: decay of the features' moving average, 0 (off) to below 1.
        token_noise: standard deviation of the noise on the features that a step evaluates; it falls
            to 0 along a cosine over the first two thirds of the steps.
        regularize: keep the features near the start ("seed"), near zero ("zero") or free ("none").
        reg_weight: weight of the mean squared distance, 0 or more.
        reset_every: re-encode the image after every so many steps, through `reset`; 0 is never.
        locked: positions 0 to n - 1 whose tokens never move, get no noise and survive a reset.
        keep: what `Step.result` holds: the "last" features, their "average" (the last without
            `ema_decay`), or per image the "best" evaluated, by the smoothed loss.
        patience: an image stops after so many steps without a gain; 0 is never.
        min_gain: fall of the smoothed loss that counts as a gain, 0 or more.
        target: an image stops when its smoothed loss is this or lower; None is never.
        seconds: time budget of the run; 0 is none. The step in which it ends is still finished.
        precision: of decoding and the guide, whose weights are rounded once a run. "auto" is
            bfloat16 where the accelerator has it, else float16; on a CPU bfloat16 for large
            tokenizers if it multiplies that clearly faster, else float32; and float32 under
            `official_rules`.
            Quantization, the loss and Adam are always float32.
        clamp: let the loss see pixels in [0, 1] only. False shows it the decoder's own range, then
            a penalty on the pixels outside belongs into the loss.
        hold_norm: keep the length of every token where the codebook compares directions only. Such
            a loss does not see the length, every step adds to it, and the same lr would turn the
            token less and less. "zero" controls the length by itself and switches this off.
        low_memory: decode the images of a batch one after the other, each again for its gradient:
            slower, with the memory of one image. Losses with a guide take part of their own, see
            `ClipLoss`'s `chunk_size`.
        official_rules: follow the published code where this one differs on purpose: pixels reach
            the loss unclamped, noise stays in the features, the average starts at the first value
            without bias correction, a reset keeps Adam's moments and the average, `hold_norm` is
            off.

    The smoothed loss is the average over about the last ten steps (see `.stopping`), of the terms
    without the regularizer: with random crops and noise a single value says little.
    """

    steps: int = 300
    lr: float | str = AUTO
    lr_schedule: str = AUTO
    warmup: int = 0
    max_grad_norm: float = 0.0
    quantize: bool = True
    ema_decay: float = 0.0
    token_noise: float = 0.0
    regularize: str = "none"
    reg_weight: float = 0.0
    reset_every: int = 0
    locked: tuple[int, ...] = ()
    keep: str = "average"
    patience: int = 0
    min_gain: float = 0.001
    target: float | None = None
    seconds: float = 0.0
    precision: str = "auto"
    clamp: bool = True
    hold_norm: bool = True
    low_memory: bool = False
    official_rules: bool = False

    def __post_init__(self) -> None:
        self._check("locked", isinstance(self.locked, Sequence), "positions, a tuple or list")
        convert_fields(self)
        object.__setattr__(self, "locked", tuple(map(python_number, self.locked)))
        self._check("steps", _counts(self.steps, 1), "an integer of 1 or more")
        fits = self.lr == AUTO or (_is_finite(self.lr) and self.lr > 0)
        self._check("lr", fits, "a number above 0, or auto")
        fits = _is_finite(self.ema_decay) and 0 <= self.ema_decay < 1
        self._check("ema_decay", fits, "a number from 0 to below 1")
        for name in ("token_noise", "reg_weight", "max_grad_norm", "min_gain", "seconds"):
            value = getattr(self, name)
            self._check(name, _is_finite(value) and value >= 0, "a number of 0 or more")
        for name in ("reset_every", "warmup", "patience"):
            self._check(name, _counts(getattr(self, name), 0), "an integer of 0 or more")
        for name, known in (
            ("regularize", REGULARIZERS),
            ("lr_schedule", LR_SCHEDULES),
            ("keep", KEEPS),
            ("precision", PRECISIONS),
        ):
            self._check(name, getattr(self, name) in known, f"one of {', '.join(known)}")
        if self.lr != AUTO and self.lr_schedule == AUTO:
            object.__setattr__(self, "lr_schedule", "constant")
        for name in ("quantize", "clamp", "hold_norm", "low_memory", "official_rules"):
            self._check(name, isinstance(getattr(self, name), bool), "True or False")
        finite = self.target is None or _is_finite(self.target)
        self._check("target", finite, "a finite number, or None for no target")
        positions = all(_counts(position, 0) for position in self.locked)
        self._check("locked", positions, "positions, integers of 0 or more")

    def resolved(self, spec: TokenizerSpec) -> OptimizeConfig:
        """The same with the tokenizer's own lr and schedule in place of "auto"."""
        if self.lr != AUTO:
            return self
        best = spec.recommended
        schedule = best.lr_schedule if self.lr_schedule == AUTO else self.lr_schedule
        return replace(self, lr=best.lr, lr_schedule=schedule)

    def lr_at(self, index: int) -> float:
        """Adam's step size at step `index`, of settings that are resolved."""
        if index < self.warmup:
            return self.lr * (index + 1) / self.warmup
        if self.lr_schedule == "constant":
            return self.lr
        progress = (index - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * (1 + math.cos(math.pi * min(1.0, progress))) / 2

    def noise_scale(self, index: int) -> float:
        """The noise's standard deviation at step `index`."""
        progress = min(1.0, 1.5 * index / max(1, self.steps - 1))
        return self.token_noise * (1 + math.cos(math.pi * progress)) / 2

    def _check(self, name: str, valid: bool, expected: str) -> None:
        if not valid:
            raise ValueError(f"{name} is {shown(getattr(self, name))}: expected {expected}.")


def _is_finite(value: object) -> bool:
    number = isinstance(value, Real) and not isinstance(value, bool)
    return number and -MOST <= value <= MOST  # NaN is neither; larger integers are no floats


def _counts(value: object, lowest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= lowest
