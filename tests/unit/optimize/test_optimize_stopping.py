"""When an image stops, what it keeps, and that its batch mates never notice."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tokenopt_core.losses.clip import ClipLoss
from tokenopt_core.optimize.config import OptimizeConfig
from tokenopt_core.optimize.loop import optimize, render

PROMPTS = ["a red circle", "a blue square", "dark"]


def redness(images: Tensor) -> Tensor:
    return (images[:, 1:] - images[:, :1]).mean((1, 2, 3))


def nothing(images: Tensor) -> Tensor:
    return 0 * images.mean((1, 2, 3))


class Spoiled:
    """Redness, but from its call `start` on one image's value goes through `spoil`."""

    def __init__(self, spoil, row: int = 1, start: int = 3):
        self.spoil, self.row, self.start, self.calls = spoil, row, start, 0

    def __call__(self, images: Tensor) -> Tensor:
        values = redness(images)
        if self.calls >= self.start:
            rows = list(values)
            rows[self.row] = self.spoil(rows[self.row])
            values = torch.stack(rows)
        self.calls += 1
        return values


SPOILS = {
    "the loss became nan at step 3: the last good state is kept; lower lr": lambda v: v * torch.nan,
    "the loss became inf at step 3: the last good state is kept; lower lr": lambda v: v + torch.inf,
    "the loss exploded from": lambda v: v + 1e6,
}


@pytest.fixture(params=SPOILS)
def spoiled(request) -> tuple[str, Spoiled]:
    return request.param, Spoiled(SPOILS[request.param])


def smoothed(values: list[float]) -> list[float]:
    """The definition: weights 0.9 ** age, divided by their sum."""
    return [
        sum(0.9 ** (t - k) * values[k] for k in range(t + 1)) / sum(0.9**k for k in range(t + 1))
        for t in range(len(values))
    ]


class TestFailure:
    config = OptimizeConfig(steps=8, ema_decay=0.8, token_noise=0.1)

    def test_only_that_image_stops_and_says_why(self, tokenizer, features, spoiled):
        reason, loss = spoiled
        steps = list(optimize(tokenizer, loss, features, self.config))
        assert len(steps) == 8
        assert steps[2].stopped == (None, None, None)
        assert steps[3].stopped[1].startswith(reason)
        assert [step.active.tolist() for step in steps[3:5]] == [[True] * 3, [True, False, True]]
        assert steps[-1].stopped[0] is None
        assert steps[-1].stopped[2] is None

    def test_it_keeps_its_last_good_state(self, tokenizer, features, spoiled):
        steps = list(optimize(tokenizer, spoiled[1], features, self.config))
        for step in steps[3:]:  # the step out of 2 led astray
            assert torch.equal(step.next_features[1], steps[1].next_features[1])
            assert torch.equal(step.averaged[1], steps[1].averaged[1])
            assert step.best_loss[1] == steps[2].best_loss[1]
        assert all(step.images.isfinite().all() for step in steps)

    def test_the_others_go_on_as_without_it(self, tokenizer, features, spoiled):
        steps = list(optimize(tokenizer, spoiled[1], features, self.config))
        healthy = list(optimize(tokenizer, redness, features, self.config))
        for a, b in zip(steps, healthy, strict=True):
            assert torch.equal(a.next_features[[0, 2]], b.next_features[[0, 2]])
            assert torch.equal(a.averaged[[0, 2]], b.averaged[[0, 2]])

    def test_at_the_first_step_the_start_is_kept(self, tokenizer, features):
        loss = Spoiled(lambda values: values * torch.nan, row=0, start=0)
        (step,) = optimize(tokenizer, loss, features[:1], self.config)
        assert torch.equal(step.next_features, features[:1])
        assert torch.equal(step.result, features[:1])

    def test_a_gradient_that_is_no_number_stops_too(self, tokenizer, features):
        def sharp(images):
            values = redness(images)
            nothing = (images[1] - images[1].detach()).sum()
            return values + torch.stack((0 * nothing, nothing.abs().sqrt(), 0 * nothing))

        steps = list(optimize(tokenizer, sharp, features, OptimizeConfig(steps=4)))
        assert "the gradient became" in steps[0].stopped[1]
        assert torch.equal(steps[-1].next_features[1], features[1])
        plain = list(optimize(tokenizer, redness, features, OptimizeConfig(steps=4)))
        assert torch.equal(steps[-1].next_features[0], plain[-1].next_features[0])

    def test_features_that_are_no_numbers_do_not_hurt_the_others(self, tokenizer, features):
        start = features.clone()
        start[0, 0, 0] = torch.nan
        steps = list(optimize(tokenizer, redness, start, self.config))
        healthy = list(optimize(tokenizer, redness, features, self.config))
        assert steps[0].stopped[0] is not None
        assert torch.equal(steps[-1].next_features[1:], healthy[-1].next_features[1:])

    def test_a_wild_lr_ends_in_a_sentence_not_in_noise(self, plain_tokenizer):
        start = torch.randn(2, 6, 10, generator=torch.Generator().manual_seed(0))
        steps = list(optimize(plain_tokenizer, redness, start, OptimizeConfig(steps=9, lr=1e38)))
        images, _ = render(plain_tokenizer, steps[-1].result)
        assert images.isfinite().all()


class TestTarget:
    def test_stops_where_it_is_reached(self, tokenizer, features):
        plain = list(optimize(tokenizer, redness, features, OptimizeConfig(steps=15)))
        curves = torch.stack([step.loss for step in plain]).T
        expected = torch.tensor([smoothed(curve.tolist()) for curve in curves])
        target = expected[0, 5:7].mean().item()
        config = OptimizeConfig(steps=15, target=target, keep="last")
        steps = list(optimize(tokenizer, redness, features, config))
        for image in range(3):
            reached = (expected[image] <= target).nonzero().flatten().tolist()
            reason = steps[-1].stopped[image]
            assert reason == (f"target reached at step {reached[0]}" if reached else None)
            if reached:
                assert torch.equal(steps[-1].result[image], plain[reached[0]].features[image])

    def test_a_run_in_which_all_have_stopped_ends(self, tokenizer, features):
        (step,) = optimize(tokenizer, redness, features, OptimizeConfig(target=10.0))
        assert step.stopped == ("target reached at step 0",) * 3
        assert torch.equal(step.result, features)

    @pytest.mark.parametrize("official", [False, True])
    def test_what_has_stopped_is_still_shown_as_it_is(self, tokenizer, features, official):
        """Also while its batch mates get noise and resets."""

        def uneven(images):
            return redness(images) + torch.tensor([5.0, 0.0, 5.0])

        config = OptimizeConfig(
            steps=6, token_noise=0.5, reset_every=2, ema_decay=0.5, official_rules=official
        )
        config, row = replace(config, target=2.0), 1
        steps = list(optimize(tokenizer, uneven, features, config, reset=lambda x: 1 - x))
        assert steps[-1].stopped == (None, "target reached at step 0", None)
        assert not torch.equal(steps[-1].features[0], steps[-1].next_features[0])
        frozen = steps[0].next_features[row]
        for step in steps[1:]:
            assert not step.active[row]
            assert torch.equal(step.features[row], frozen)
            assert torch.equal(step.next_features[row], frozen)
            assert torch.equal(step.averaged[row], steps[0].averaged[row])
            assert torch.equal(step.state.best[row], steps[0].features[row])
            assert step.best_loss[row] == steps[0].best_loss[row]


class TestPlateau:
    def test_stops_after_so_many_steps_without_gain(self, tokenizer, features):
        steps = list(optimize(tokenizer, nothing, features, OptimizeConfig(patience=5)))
        assert len(steps) == 6
        assert steps[-1].stopped == ("no gain for 5 steps, at step 5",) * 3

    def test_small_gains_add_up(self, tokenizer, features):
        falling = [-0.01 * t for t in range(30)]

        class Falling:
            calls = 0

            def __call__(self, images):
                self.calls += 1
                return nothing(images) + falling[self.calls - 1]

        def made(min_gain):
            config = OptimizeConfig(steps=30, patience=4, min_gain=min_gain)
            return len(list(optimize(tokenizer, Falling(), features, config)))

        assert made(0.02) == 30  # not every step gains so much, but four together do
        assert made(0.2) < 30


class TestTime:
    def test_the_step_in_which_it_ends_is_finished(self, tokenizer, features):
        (step,) = optimize(tokenizer, redness, features, OptimizeConfig(seconds=1e-6))
        assert step.stopped == ("the time of 1e-06 seconds was over after step 0",) * 3
        assert not torch.equal(step.next_features, features)

    def test_enough_time_changes_nothing(self, tokenizer, features):
        config = OptimizeConfig(steps=3, seconds=1000.0)
        assert list(optimize(tokenizer, redness, features, config))[-1].stopped == (None,) * 3


class TestBatch:
    @pytest.mark.parametrize("keep", ["last", "average", "best"])
    def test_stopping_is_the_same_alone(self, tokenizer, guide, features, keep):
        config = OptimizeConfig(
            steps=30, lr=0.2, ema_decay=0.9, token_noise=0.1, patience=4, keep=keep, target=-0.05
        )
        seeds = [3, 1, 4]

        def run(rows):
            loss = ClipLoss(guide, PROMPTS[rows], crops=2)
            return list(optimize(tokenizer, loss, features[rows], config, seeds=seeds[rows]))

        together = run(slice(None))
        ends = {}
        for row in range(3):
            alone = run(slice(row, row + 1))
            assert together[-1].stopped[row] == alone[-1].stopped[0]
            for name in ("result", "next_features", "averaged", "best_loss"):
                a, b = getattr(together[-1], name)[row], getattr(alone[-1], name)[0]
                torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
            ends[row] = len(alone)
        assert len(set(ends.values())) > 1, ends  # else nothing was tested
        assert len(together) == max(ends.values())
