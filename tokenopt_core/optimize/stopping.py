"""Stopping rules, image by image: target, plateau, time, and divergence.

Every image has a `LossTracker` of its own, plain numbers on the host, so that batch mates cannot
change when it stops. The smoothed loss is the bias-corrected average with decay 0.9, about the last
ten evaluations: a single one is too noisy, with random crops, to call a result the best.
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
class LossTracker:
    """What is known about the loss of one image."""

    evaluations: int = 0
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
        first = self.first if self.evaluations else loss
        if loss > first + EXPLODED * max(1.0, abs(first)):
            return f"the loss exploded from {first:.3g} to {loss:.3g}"
        return None

    def updated(self, loss: float, index: int, config: OptimizeConfig) -> LossTracker:
        """What is known after step `index`, whose loss has no fault."""
        evaluations = self.evaluations + 1
        weight = (1 - SMOOTHING) / (1 - SMOOTHING**evaluations)
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
            evaluations=evaluations,
            first=self.first if self.evaluations else loss,
            smoothed=smoothed,
            best=min(self.best, smoothed),
            goal=smoothed if gained else self.goal,
            waited=waited,
            stopped=reason,
        )

    def stop(self, reason: str) -> LossTracker:
        """The same, stopped for `reason`; an earlier reason stays."""
        return self if self.stopped else replace(self, stopped=reason)

    def reopened(self) -> LossTracker:
        """As before the first evaluation."""
        return LossTracker(scale=self.scale)


class Verdict(NamedTuple):
    """What one evaluation means for one image."""

    tracker: LossTracker
    moves: bool = False  # takes the step
    failed: bool = False  # goes back to where it was a step earlier


def judge(
    tracker: LossTracker, loss: float, norm: float, index: int, config: OptimizeConfig, advice: str
) -> Verdict:
    """What to do with an image at step `index`. One that stops there does not take the step.

    Args:
        norm: of its gradient. In float16 an overflow is answered by a smaller scale, and the image
            sits out this step.
        advice: against a loss or gradient that is no number.
    """
    if tracker.stopped:
        return Verdict(tracker)
    fault = tracker.fault(loss)
    if fault:
        reason = f"{fault} at step {index}: the last good state is kept; {advice}"
        return Verdict(tracker.stop(reason), failed=True)
    tracker = tracker.updated(loss, index, config)
    if tracker.stopped or math.isfinite(norm):
        return Verdict(tracker, moves=not tracker.stopped)
    if tracker.scale > 1:
        return Verdict(replace(tracker, scale=max(1.0, tracker.scale / SCALE_STEP)))
    reason = f"the gradient became {norm} at step {index}: this step's state is kept; {advice}"
    return Verdict(tracker.stop(reason))
