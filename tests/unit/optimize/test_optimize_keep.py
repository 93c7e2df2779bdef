"""What a run gives back: the last features, their average, or the best that were seen."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tokenopt_core.losses.clip import ClipLoss
from tokenopt_core.optimize.config import OptimizeConfig
from tokenopt_core.optimize.loop import optimize

PROMPTS = ["a red circle", "a blue square", "dark"]


def smoothed(values: list[float]) -> list[float]:
    """The definition: weights 0.9 ** age, divided by their sum."""
    return [
        sum(0.9 ** (t - k) * values[k] for k in range(t + 1)) / sum(0.9**k for k in range(t + 1))
        for t in range(len(values))
    ]


class TestKeep:
    config = OptimizeConfig(steps=12, ema_decay=0.9, token_noise=0.4, lr=0.3)

    @pytest.fixture
    def steps(self, tokenizer, guide, features):
        loss = ClipLoss(guide, PROMPTS, crops=2)

        def run(**changes):
            return list(optimize(tokenizer, loss, features, replace(self.config, **changes)))

        return run

    def test_last_and_average(self, steps):
        for step in steps(keep="last"):
            assert torch.equal(step.result, step.next_features)
        for step in steps():
            assert torch.equal(step.result, step.averaged)

    def test_best_is_what_was_looked_at_at_the_lowest_smoothed_loss(self, steps):
        run = steps(keep="best")
        for image in range(3):
            curve = smoothed([step.loss[image].item() for step in run])
            for t, step in enumerate(run):
                lowest = min(range(t + 1), key=lambda k: curve[k])
                assert torch.equal(step.result[image], run[lowest].features[image])
                assert step.best_loss[image].item() == pytest.approx(curve[lowest], abs=1e-6)
        assert not torch.equal(run[-1].result, run[-1].features)

    def test_what_is_kept_does_not_change_the_way(self, steps):
        ends = [steps(keep=keep)[-1].next_features for keep in ("last", "average", "best")]
        assert torch.equal(ends[0], ends[1])
        assert torch.equal(ends[0], ends[2])
