"""How features move: lr schedule, clipping, locked positions, precision, range."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tokenopt_core.losses.clip import ClipLoss
from tokenopt_core.optimize.config import OptimizeConfig
from tokenopt_core.optimize.loop import optimize


def redness(images: Tensor) -> Tensor:
    return (images[:, 1:] - images[:, :1]).mean((1, 2, 3))


class TestSchedule:
    def test_constant(self):
        config = OptimizeConfig(steps=5, lr=0.3)
        assert [config.lr_at(index) for index in range(5)] == [0.3] * 5

    def test_warmup(self):
        config = OptimizeConfig(steps=6, lr=0.4, warmup=4)
        lrs = [config.lr_at(index) for index in range(6)]
        assert lrs == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])

    def test_cosine_after_warmup(self):
        config = OptimizeConfig(steps=12, lr=0.4, warmup=2, lr_schedule="cosine")
        lrs = [config.lr_at(index) for index in range(12)]
        assert lrs[:3] == pytest.approx([0.2, 0.4, 0.4])
        assert lrs[7] == pytest.approx(0.2)  # half way
        assert lrs[11] == pytest.approx(0.2 * (1 + math.cos(0.9 * math.pi)))
        assert all(a > b for a, b in zip(lrs[2:], lrs[3:], strict=False))
        assert lrs[-1] > 0

    @pytest.mark.parametrize("changes", [{"steps": 1}, {"steps": 3, "warmup": 9}])
    def test_short_runs(self, changes):
        config = OptimizeConfig(lr=0.1, lr_schedule="cosine", **changes)
        assert all(0 < config.lr_at(index) <= 0.1 for index in range(config.steps))

    def test_the_run_follows_it(self, plain_tokenizer):
        """Adam's first step is lr along every axis, whatever the gradient."""
        start = torch.randn(2, 6, 10, generator=torch.Generator().manual_seed(0))
        config = OptimizeConfig(steps=4, lr=0.4, warmup=4)
        steps = list(optimize(plain_tokenizer, redness, start, config))
        assert [step.lr for step in steps] == pytest.approx([0.1, 0.2, 0.3, 0.4])
        moved = (steps[0].next_features - start).abs()
        assert moved.median().item() == pytest.approx(0.1, rel=1e-3)


class TestClipping:
    def gradients(self, tokenizer, features, loss, limit) -> Tensor:
        """What reaches Adam in the first step, (b, n, d)."""
        config = OptimizeConfig(steps=1, max_grad_norm=limit)
        (step,) = optimize(tokenizer, loss, features, config)
        return step.state.position.moments.mean / 0.1

    def test_each_image_has_its_own_limit(self, tokenizer, features):
        def uneven(images):
            return redness(images) * torch.tensor([1.0, 1000.0, 1.0])

        free = self.gradients(tokenizer, features, uneven, 0.0)
        norms = free.flatten(1).norm(dim=1)
        limit = 2 * norms[0].item()
        assert norms[1] > 10 * limit
        clipped = self.gradients(tokenizer, features, uneven, limit)
        torch.testing.assert_close(clipped[0], free[0])
        torch.testing.assert_close(clipped[1], free[1] * (limit / norms[1]))

    def test_no_gradient_is_no_problem(self, tokenizer, features):
        def nothing(images):
            return 0 * images.mean((1, 2, 3))

        assert not self.gradients(tokenizer, features, nothing, 1.0).any()


class TestLocked:
    everything = OptimizeConfig(
        steps=6, token_noise=0.3, ema_decay=0.9, regularize="zero", reg_weight=0.5, reset_every=2
    )

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"keep": "best"},
            {"regularize": "none", "keep": "last"},  # holds lengths
            {"official_rules": True},
            {"quantize": False},
        ],
        ids=str,
    )
    def test_locked_tokens_never_move(self, tokenizer, features, changes):
        config = replace(self.everything, locked=[1, 4], **changes)
        steps = list(optimize(tokenizer, redness, features, config, reset=lambda x: 1 - x))
        first = steps[0].features if config.quantize else tokenizer.quantize(features).tokens
        for step in steps:
            for moved in (step.features, step.next_features, step.averaged, step.result):
                assert torch.equal(moved[:, [1, 4]], first[:, [1, 4]])
        assert not torch.isclose(steps[-1].result, first)[:, [0, 2, 3, 5]].any(-1).all()

    def test_the_others_move_as_far_as_without(self, tokenizer, features):
        config = OptimizeConfig(steps=1)
        (free,) = optimize(tokenizer, redness, features, config)
        (locked,) = optimize(tokenizer, redness, features, replace(config, locked=(2,)))
        others = [0, 1, 3, 4, 5]
        assert torch.equal(locked.next_features[:, others], free.next_features[:, others])

    def test_no_such_position(self, tokenizer, features):
        with pytest.raises(ValueError, match="locked has the position 6: tiny has 6 tokens, so"):
            optimize(tokenizer, redness, features, OptimizeConfig(locked=(0, 6)))

    def test_all_positions(self, tokenizer, features):
        with pytest.raises(ValueError, match="all 6 positions, so nothing could move"):
            optimize(tokenizer, redness, features, OptimizeConfig(locked=range(6)))


class TestPrecision:
    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_is_close_to_float32_and_keeps_float32_where_it_counts(
        self, tokenizer, guide, features, precision
    ):
        loss = ClipLoss(guide, "a red circle", crops=2)
        seen = []
        hook = tokenizer.decoder.decoder_embed.register_forward_hook(
            lambda module, given, made: seen.append((given[0].dtype, made.dtype))
        )
        try:
            config = OptimizeConfig(steps=5, precision=precision)
            steps = list(optimize(tokenizer, loss, features, config))
        finally:
            hook.remove()
        exact = list(optimize(tokenizer, loss, features, replace(config, precision="float32")))
        assert set(seen) == {(getattr(torch, precision),) * 2}
        first, reference = steps[0], exact[0]
        assert torch.equal(first.codes, reference.codes)
        torch.testing.assert_close(first.images, reference.images, rtol=0, atol=0.03)
        torch.testing.assert_close(first.loss, reference.loss, rtol=0, atol=0.01)
        gradients = [s.state.position.moments.mean.flatten(1) for s in (first, reference)]
        assert (torch.cosine_similarity(*gradients, dim=1) > 0.99).all()
        torch.testing.assert_close(
            gradients[0].norm(dim=1), gradients[1].norm(dim=1), rtol=0.05, atol=0
        )
        for step in steps:
            kept = (step.images, step.loss, *step.state.position.moments, step.next_features)
            assert {tensor.dtype for tensor in kept} == {torch.float32}

    def test_float16_survives_gradients_that_overflow(self, tokenizer, features):
        """Only the image whose gradient overflows sits out, and only until its scale fits."""

        def uneven(images):
            return redness(images) * torch.tensor([1.0, 1e5, 1.0])

        config = OptimizeConfig(steps=8, precision="float16")
        steps = list(optimize(tokenizer, uneven, features, config))
        plain = list(optimize(tokenizer, redness, features, config))
        assert torch.equal(steps[0].next_features[1], features[1])
        assert not torch.equal(steps[-1].next_features[1], features[1])
        assert steps[-1].stopped == (None,) * 3
        assert torch.equal(steps[-1].next_features[0], plain[-1].next_features[0])

    def test_float16_does_not_lose_small_gradients(self, tokenizer, features):
        def faint(images):
            return 1e-3 * redness(images)

        def gradient(precision):
            config = OptimizeConfig(steps=1, precision=precision)
            (step,) = optimize(tokenizer, faint, features, config)
            return step.state.position.moments.mean.flatten(1)

        exact = gradient("float32")
        assert (torch.cosine_similarity(gradient("float16"), exact, dim=1) > 0.99).all()

    def test_auto_is_float32_on_the_cpu(self, tokenizer, features):
        ends = [
            list(optimize(tokenizer, redness, features, OptimizeConfig(steps=3, **changes)))[-1]
            for changes in ({}, {"precision": "float32"})
        ]
        assert torch.equal(ends[0].next_features, ends[1].next_features)


class TestRange:
    def test_without_clamp_the_loss_sees_what_the_decoder_made(self, tokenizer, features):
        seen = []

        def brightness(images):
            seen.append(images.detach())
            return -images.mean((1, 2, 3))

        config = OptimizeConfig(steps=3, clamp=False)
        steps = list(optimize(tokenizer, brightness, features, config))
        assert seen[0].min() < 0 or seen[0].max() > 1
        tokens = tokenizer.quantize(features).tokens
        torch.testing.assert_close(seen[0], tokenizer.decode(tokens))
        assert torch.equal(steps[0].images, seen[0])


class TestSettings:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"lr_schedule": "linear"}, "lr_schedule is 'linear': expected one of auto, con"),
            ({"warmup": -1}, "warmup is -1: expected an integer of 0 or more"),
            ({"max_grad_norm": -0.5}, "max_grad_norm is -0.5: expected a number of 0 or more"),
            ({"patience": 2.5}, "patience is 2.5: expected an integer"),
            ({"min_gain": -1.0}, "min_gain is -1.0"),
            ({"target": float("nan")}, "target is nan: expected a finite number, or None"),
            ({"seconds": float("inf")}, "seconds is inf"),
            ({"keep": "first"}, "keep is 'first': expected one of last, average, best"),
            ({"locked": (-1,)}, r"locked is \(-1,\): expected positions, integers of 0 or more"),
            ({"precision": "int8"}, "precision is 'int8': expected one of auto, float32"),
        ],
    )
    def test_bad_settings(self, changes, message):
        with pytest.raises(ValueError, match=message):
            OptimizeConfig(**changes)
