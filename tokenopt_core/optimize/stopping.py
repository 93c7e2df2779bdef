"""When an image has had enough: target, plateau, or a loss that is no number any more.

Every image has a `LossWatch` of its own, plain numbers on the host, so that batch mates cannot
change when it stops. The smoothed loss is the bias-corrected average with decay 0.9, about the last
ten looks: one look is too noisy, with random crops, to call a result the best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

from .config import OptimizeConfig

SMOOTHING = 0.9
EXPLODED = 1e4  # so many times its first size (at least 1) above its first value
SCALE_STEP = 4.0


@dataclass(frozen=True)
class LossWatch:
    """What is known about the loss of one image."""

    looks: int = 0
    first: float = 0.0
    smoothed: float = 0.0
    best: float = math.inf  # lowest smoothed loss
    goal: float = math.inf  # smoothed loss at the last gain
    waited: int = 0  # steps since then
    scale: float = 1.0  # of the loss in the backward pass, above 1 for float16 only
    stopped: str | None = None  # why, as a sentence

    def fault(self, loss: float) -> str | None:
        """What is wrong with the next `loss`, None if nothing is."""
        if not math.isfinite(loss):
            return f"the loss became {loss}"
        first = self.first if self.looks else loss
        if loss > first + EXPLODED * max(1.0, abs(first)):
            return f"the loss exploded from {first:.3g} to {loss:.3g}"
        return None

    def seen(self, loss: float, index: int, config: OptimizeConfig) -> LossWatch:
        """What is known after a look at step `index` whose loss has no fault."""
        looks = self.looks + 1
        weight = (1 - SMOOTHING) / (1 - SMOOTHING**looks)
        smoothed = self.smoothed + weight * (loss - self.smoothed)
        gained = smoothed <= self.goal - config.min_gain
        waited = 0 if gained else self.waited + 1
        reason = None
        if config.target is not None and smoothed <= config.target:
            reason = f"target reached at step {index}"
        elif config.patience and waited >= config.patience:
            reason = f"no gain for {waited} steps, at step {index}"
        return replace(
            self,
            looks=looks,
            first=self.first if self.looks else loss,
            smoothed=smoothed,
            best=min(self.best, smoothed),
            goal=smoothed if gained else self.goal,
            waited=waited,
            stopped=reason,
        )

    def stop(self, reason: str) -> LossWatch:
        """The same, stopped for `reason`; an earlier reason stays."""
        return self if self.stopped else replace(self, stopped=reason)

    def reopened(self) -> LossWatch:
        """As before the first look."""
        return LossWatch(scale=self.scale)


class Verdict(NamedTuple):
    """What one look means for one image."""

    watch: LossWatch
    moves: bool = False  # takes the step
    failed: bool = False  # goes back to where it was a step earlier


def judge(
    watch: LossWatch, loss: float, gradient: float, index: int, config: OptimizeConfig, advice: str
) -> Verdict:
    """What to do with an image at step `index`. One that stops there does not take the step.

    Args:
        gradient: norm of its gradient. In float16 an overflow is answered by a smaller scale, and
            the image sits out this step.
        advice: against a loss or gradient that is no number.
    """
    if watch.stopped:
        return Verdict(watch)
    fault = watch.fault(loss)
    if fault:
        reason = f"{fault} at step {index}: the last good state is kept; {advice}"
        return Verdict(watch.stop(reason), failed=True)
    watch = watch.seen(loss, index, config)
    if watch.stopped or math.isfinite(gradient):
        return Verdict(watch, moves=not watch.stopped)
    if watch.scale > 1:
        return Verdict(replace(watch, scale=max(1.0, watch.scale / SCALE_STEP)))
    reason = f"the gradient became {gradient} at step {index}: this step's state is kept; {advice}"
    return Verdict(watch.stop(reason))
