"""The state of a run, from which a later one can go on, and the record of a step.

Axes: b images, n tokens, d token size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..compute.seeds import send
from ..tokenizers.base import length
from .adam import Average, Moments
from .config import OptimizeConfig
from .stopping import LossTracker, Verdict


class Position(NamedTuple):
    """Where the images are and how they got there; nothing ever changes these tensors."""

    features: Tensor  # (b, n, d)
    moments: Moments
    average: Average
    length: Tensor  # (b, n, 1), the token lengths that `hold_norm` keeps

    @staticmethod
    def at(features: Tensor) -> Position:
        """The beginning."""
        return Position(features, Moments.none(features), Average.none(features), length(features))


@dataclass(frozen=True)
class RunState:
    """One moment of a run, shared with it: read it, give it to `optimize`, never change it.

    A run that goes on from here makes `config.steps` more steps. With the same settings, loss and
    seeds 50 and 50 steps are exactly 100, as long as nothing depends on how long a run is: the lr
    schedule, noise, resets and prompt schedules follow each run's own steps.
    """

    position: Position
    before: Position  # a step earlier: the state to return to if the next evaluation fails
    start: Tensor  # (b, n, d), anchor of the regularizer "seed"
    best: Tensor  # (b, n, d), the features with the lowest smoothed loss
    trackers: tuple[LossTracker, ...]  # one per image
    evaluations: int  # of the loss so far
    draws: int  # of noise so far
    quantize: bool  # whether the features are meant to be quantized

    @staticmethod
    def begin(features: Tensor, quantize: bool) -> RunState:
        """The state before the first step of features (b, n, d)."""
        position, trackers = Position.at(features), (LossTracker(),) * len(features)
        return RunState(position, position, features, features, trackers, 0, 0, quantize)

    @property
    def features(self) -> Tensor:
        """(b, n, d) after the last step."""
        return self.position.features

    @property
    def stopped(self) -> tuple[str | None, ...]:
        """Per image why it stopped, None while it moves."""
        return tuple(tracker.stopped for tracker in self.trackers)

    def reopened(self) -> RunState:
        """The same for a new purpose: no image has stopped, and the loss may be another.

        What is known about the old loss is forgotten, and with it which features were the best.
        Otherwise an image that stopped stays so.
        """
        return replace(self, trackers=tuple(tracker.reopened() for tracker in self.trackers))

    def after(
        self, features: Tensor, old: Position, moved: Position, verdicts: Sequence[Verdict]
    ) -> RunState:
        """The state after a step: each image moves, rests, or returns to where it was before.

        Args:
            features: (b, n, d) that were evaluated.
            old, moved: where the images were, and where all of them would be.
        """
        device = features.device
        moves = rows([verdict.moves for verdict in verdicts], device)
        stays = rows([not verdict.failed for verdict in verdicts], device)
        trackers = tuple(verdict.tracker for verdict in verdicts)
        pairs = zip(trackers, self.trackers, strict=True)
        better = rows([new.best < before.best for new, before in pairs], device)
        return replace(
            self,
            position=where(stays, where(moves, moved, old), self.before),
            before=where(moves, old, self.before),
            best=where(better, features, self.best),
            trackers=trackers,
            evaluations=self.evaluations + 1,
        )

    def with_scale(self, scale: float) -> RunState:
        """The same for another precision: every image's loss scale begins at `scale`."""
        if all((tracker.scale > 1) == (scale > 1) for tracker in self.trackers):
            return self
        trackers = (replace(tracker, scale=scale) for tracker in self.trackers)
        return replace(self, trackers=tuple(trackers))

    def to(self, device: torch.device | str) -> RunState:
        """The same on another device."""
        tensors = {
            name: move(getattr(self, name), device)
            for name in ("position", "before", "start", "best")
        }
        return replace(self, **tensors)


def where(mask: Tensor | None, new, old):
    """`new` where mask (b or 1, n or 1, 1) is true, else `old`; all `new` without a mask.

    Of tensors (b, ., .), or of tuples of them, part by part.
    """
    if mask is None:
        return new
    if isinstance(new, Tensor):
        return torch.where(mask, new, old)
    return type(new)(*(where(mask, a, b) for a, b in zip(new, old, strict=True)))


def rows(flags: Sequence[bool], device: torch.device) -> Tensor | None:
    """A mask (b, 1, 1) of the images for `where`; None, which costs nothing, for all of them."""
    if all(flags):
        return None
    return send(torch.tensor(flags), device).view(-1, 1, 1)


def move(tensors, device: torch.device | str):
    """A tensor, or a tuple of such, on `device`."""
    if isinstance(tensors, Tensor):
        return tensors.to(device)
    return type(tensors)(*(move(tensor, device) for tensor in tensors))


@dataclass(frozen=True)
class Step:
    """One step: features and image, how good they were, and where the features went. Detached.

    `images`, `loss`, `terms`, `penalty` and `codes` belong to `features`; `next_features`,
    `averaged`, `result`, `best_loss`, `stopped` and `state` are as they are after the step. An
    image that stopped is still decoded, but moves no more.
    """

    index: int
    features: Tensor  # (b, n, d), noise included
    codes: Tensor | None  # (b, n) int64, None where nothing is quantized
    images: Tensor  # (b, 3, s, s) in [0, 1] (as decoded under official_rules or without clamp)
    loss: Tensor  # (b,), the sum of the terms, without the penalty
    terms: dict[str, Tensor] = field(repr=False)  # (b,) each
    penalty: Tensor  # (b,), the weighted regularizer
    lr: float
    active: Tensor  # (b,) bool on the CPU: which images had not stopped before this step
    next_features: Tensor  # (b, n, d)
    averaged: Tensor  # (b, n, d), next_features where there is no average
    result: Tensor  # (b, n, d), the features to `render` if the run ends here, by `config.keep`
    best_loss: Tensor  # (b,) on the CPU: the lowest smoothed loss so far
    stopped: tuple[str | None, ...]  # per image: why it stopped, None while it moves
    config: OptimizeConfig = field(repr=False)  # of the run, without "auto" in the learning rate
    state: RunState = field(repr=False)  # for optimize(..., state=step.state) to go on from here
