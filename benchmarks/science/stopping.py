"""Trace of a run, from which any earlier end can be replayed without running again.

What a run does up to a step does not depend on when it ends, with one exception: the token noise
falls over the first two thirds of the steps that were planned.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tokenopt_core import OptimizeConfig, Step
from tokenopt_core.optimize.stopping import LossTracker


class Trace:
    """The features after each step, by all rules of keeping them, and the losses."""

    def __init__(self, config: OptimizeConfig, keep_all: bool = True):
        self.config, self.keep_all = config, keep_all
        self.last: Tensor | None = None  # (b, n, d), the result so far
        self.losses: list[list[float]] = []
        self._features: dict[str, list[Tensor]] = {"average": [], "last": [], "looked at": []}

    def add(self, step: Step) -> None:
        self.last = step.result
        self.losses.append(step.loss.tolist())
        if self.keep_all:
            self._features["average"].append(step.averaged)
            self._features["last"].append(step.next_features)
            self._features["looked at"].append(step.features)

    def at(self, steps: list[int], keep: str) -> Tensor:
        """Features (b, n, d) that a run of so many steps, one number per image, would return."""
        if keep == "best":
            steps, keep = self._best(steps), "looked at"
        chosen = [self._features[keep][count - 1][i] for i, count in enumerate(steps)]
        return torch.stack(chosen)

    def stops(self, patience: int) -> list[int]:
        """After how many steps each image would have stopped by itself with this patience."""
        config = replace(self.config, patience=patience)
        return [self._stop([row[i] for row in self.losses], config) for i in range(len(self.last))]

    def _stop(self, losses: list[float], config: OptimizeConfig) -> int:
        tracker = LossTracker()
        for index, loss in enumerate(losses):
            tracker = tracker.updated(loss, index, config)
            if tracker.stopped:
                return max(1, index)  # the step in which it stops is not taken
        return len(losses)

    def _best(self, steps: list[int]) -> list[int]:
        """For each image the step, counted from 1, with the lowest smoothed loss up to its end."""
        chosen = []
        for i, count in enumerate(steps):
            tracker, best = LossTracker(), 1
            for index in range(count):
                before = tracker.best
                tracker = tracker.updated(self.losses[index][i], index, self.config)
                if tracker.best < before:
                    best = index + 1
            chosen.append(best)
        return chosen
