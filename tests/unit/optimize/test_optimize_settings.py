"""What each setting of the loop does, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tokenopt_core.losses.clip import ClipLoss
from tokenopt_core.optimize.config import OptimizeConfig
from tokenopt_core.optimize.loop import optimize, render
from tokenopt_core.tokenizers.spec import Recommended

SHORT = OptimizeConfig(steps=4)


def redness(images: Tensor) -> Tensor:
    return (images[:, 1:] - images[:, :1]).mean((1, 2, 3))


def last(run) -> Tensor:
    return list(run)[-1].next_features


class TestAuto:
    def test_is_what_the_tokenizer_recommends(self, tokenizer, features, monkeypatch):
        spec = replace(tokenizer.spec, recommended=Recommended(lr=0.3, lr_schedule="cosine"))
        found = OptimizeConfig().resolved(spec)
        assert (found.lr, found.lr_schedule) == (0.3, "cosine")
        found = OptimizeConfig(lr_schedule="constant").resolved(spec)
        assert (found.lr, found.lr_schedule) == (0.3, "constant")
        found = OptimizeConfig(lr=0.2).resolved(spec)
        assert (found.lr, found.lr_schedule) == (0.2, "constant")
        monkeypatch.setattr(tokenizer, "spec", spec)
        steps = list(optimize(tokenizer, redness, features, OptimizeConfig(steps=4)))
        assert [step.lr for step in steps] == pytest.approx([0.3, 0.256066, 0.15, 0.043934])

    def test_of_a_tokenizer_that_says_nothing_is_the_papers(self, tokenizer, features):
        steps = list(optimize(tokenizer, redness, features, SHORT))
        assert [step.lr for step in steps] == [0.1] * 4


class TestRules:
    def test_the_loss_falls(self, tokenizer, guide, features):
        loss = ClipLoss(guide, "a red circle", crops=0)
        steps = list(optimize(tokenizer, loss, features, OptimizeConfig(steps=40)))
        assert (steps[-1].loss < steps[0].loss - 0.005).all()

    def test_the_negative_prompt_is_left_behind(self, tokenizer, guide, features):
        other = ClipLoss(guide, "dark", crops=0)
        config = OptimizeConfig(steps=30)
        similarity = []
        for negative in (None, "dark"):
            loss = ClipLoss(guide, "a red circle", negative, crops=0, negative_weight=2.0)
            similarity.append(-other(list(optimize(tokenizer, loss, features, config))[-1].images))
        assert similarity[1].mean() < similarity[0].mean() - 0.005

    def test_without_quantization_the_tokens_are_decoded_as_they_are(self, tokenizer, features):
        config = OptimizeConfig(steps=3, quantize=False)
        steps = list(optimize(tokenizer, redness, features, config))
        torch.testing.assert_close(steps[0].features, tokenizer.quantize(features).tokens)
        assert all(step.codes is None for step in steps)
        images, quantized = render(tokenizer, steps[-1].features, quantize=False)
        torch.testing.assert_close(images, steps[-1].images)
        assert quantized.codes is None

    def test_a_vae_has_no_codes(self, vae):
        start = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))
        steps = list(optimize(vae, redness, start, OptimizeConfig(steps=20)))
        assert steps[0].codes is None
        assert (steps[-1].loss < steps[0].loss).all()

    def test_noise_fades_and_does_not_stay(self, tokenizer, features):
        config = OptimizeConfig(steps=13, token_noise=0.4, hold_norm=False)
        steps = list(optimize(tokenizer, redness, features, config))
        offsets = [
            (b.features - a.next_features).std() for a, b in zip(steps, steps[1:], strict=False)
        ]
        assert offsets[0] > offsets[3] > offsets[6] > 0
        assert max(offsets[8:]) == 0
        assert config.noise_scale(0) == 0.4
        assert config.noise_scale(4) == pytest.approx(0.2)
        assert OptimizeConfig(steps=1, token_noise=0.4).noise_scale(0) == 0.4

    def test_regularization_pulls_to_its_anchor(self, plain_tokenizer):
        start = torch.randn(2, 6, 10, generator=torch.Generator().manual_seed(0))

        def nothing(images):
            return 0 * images.mean((1, 2, 3))

        zero = OptimizeConfig(steps=30, regularize="zero", reg_weight=1.0)
        steps = list(optimize(plain_tokenizer, nothing, start, zero))
        torch.testing.assert_close(steps[0].penalty, start.square().mean((1, 2)))
        assert (steps[-1].penalty < 0.1 * steps[0].penalty).all()
        seed = OptimizeConfig(steps=3, regularize="seed", reg_weight=1.0)
        torch.testing.assert_close(last(optimize(plain_tokenizer, nothing, start, seed)), start)

    def test_regularization_near_the_seed_keeps_it_nearer(self, plain_tokenizer):
        start = torch.randn(2, 6, 10, generator=torch.Generator().manual_seed(0))
        distance = [
            (last(optimize(plain_tokenizer, redness, start, config)) - start).norm()
            for config in (
                OptimizeConfig(steps=20),
                OptimizeConfig(steps=20, regularize="seed", reg_weight=5.0),
            )
        ]
        assert distance[1] < 0.7 * distance[0]

    def test_token_lengths_stay_where_only_directions_count(self, tokenizer, features):
        def lengths(**changes):
            config = OptimizeConfig(steps=20, **changes)
            return last(optimize(tokenizer, redness, features, config)).norm(dim=-1)

        start = features.norm(dim=-1)
        torch.testing.assert_close(lengths(), start)
        assert (lengths(hold_norm=False) > start).all()
        assert (lengths(official_rules=True) > start).all()
        assert not torch.allclose(lengths(regularize="zero", reg_weight=0.1), start)

    def test_token_lengths_are_free_where_they_count(self, plain_tokenizer):
        start = torch.randn(2, 6, 10, generator=torch.Generator().manual_seed(0))
        end = last(optimize(plain_tokenizer, redness, start, SHORT))
        assert not torch.allclose(end.norm(dim=-1), start.norm(dim=-1))

    def test_a_token_without_direction_gets_one(self, tokenizer):
        end = last(optimize(tokenizer, redness, torch.zeros(1, 6, 12), OptimizeConfig(steps=3)))
        assert end.isfinite().all()
        assert end.any()

    def test_a_plain_function_and_an_early_noise_source(self, tokenizer, features):
        asked = []

        def noise(index):
            asked.append(index)
            return torch.ones_like(features)

        config = OptimizeConfig(steps=7, token_noise=0.5)
        steps = list(optimize(tokenizer, redness, features, config, noise=noise))
        assert asked == [0, 1, 2, 3]
        torch.testing.assert_close(steps[0].features, features + 0.5)


class TestAverage:
    @pytest.mark.parametrize("stop", [1, 2, 7])
    def test_is_the_weighted_mean_at_every_length(self, tokenizer, features, stop):
        config = OptimizeConfig(steps=7, ema_decay=0.8)
        steps = list(optimize(tokenizer, redness, features, config))[:stop]
        weights = torch.tensor([0.8**k for k in range(stop)]).flip(0)
        values = torch.stack([step.next_features for step in steps])
        expected = (weights.view(-1, 1, 1, 1) * values).sum(0) / weights.sum()
        torch.testing.assert_close(steps[-1].averaged, expected)

    def test_off_means_the_last_features(self, tokenizer, features):
        for step in optimize(tokenizer, redness, features, SHORT):
            assert torch.equal(step.averaged, step.next_features)


class TestReset:
    config = OptimizeConfig(steps=7, reset_every=2, ema_decay=0.9)

    def test_features_become_those_of_the_blended_image(self, tokenizer, features):
        given = []

        def halve(images):
            given.append(images)
            return images * 0.5

        steps = list(optimize(tokenizer, redness, features, self.config, reset=halve))
        assert len(given) == 2  # after 2 and 4; the last step, 6, keeps what it has
        for index, images in zip((2, 4), given, strict=True):
            assert torch.equal(images, steps[index].images)
            expected = tokenizer.encode(images * 0.5)
            torch.testing.assert_close(steps[index].next_features, expected)
            torch.testing.assert_close(steps[index].averaged, expected)

    def test_what_follows_starts_afresh(self, tokenizer, features):
        config = self.config
        steps = list(optimize(tokenizer, redness, features, config, reset=lambda x: x))
        again = optimize(tokenizer, redness, steps[4].next_features, replace(config, reset_every=0))
        assert torch.equal(next(again).next_features, steps[5].next_features)

    def test_the_official_rules_keep_moments_and_average(self, tokenizer, features):
        config = replace(self.config, official_rules=True)
        steps = list(optimize(tokenizer, redness, features, config, reset=lambda x: x))
        assert not torch.allclose(steps[4].averaged, steps[4].next_features)
        again = optimize(tokenizer, redness, steps[4].next_features, replace(config, reset_every=0))
        assert not torch.allclose(next(again).next_features, steps[5].next_features)


class TestInputs:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"steps": 0}, "steps is 0: expected an integer of 1 or more"),
            ({"steps": 2.5}, "steps is 2.5"),
            ({"lr": 0.0}, "lr is 0.0: expected a number above 0, or auto"),
            ({"lr": float("nan")}, "lr is nan"),
            ({"ema_decay": 1.0}, "ema_decay is 1.0"),
            ({"token_noise": -0.1}, "token_noise is -0.1"),
            ({"regularize": "both"}, "regularize is 'both': expected one of none, seed, zero"),
            ({"reg_weight": float("inf")}, "reg_weight is inf"),
            ({"reset_every": -1}, "reset_every is -1"),
        ],
    )
    def test_bad_settings(self, changes, message):
        with pytest.raises(ValueError, match=message):
            OptimizeConfig(**changes)

    def test_features_of_another_tokenizer(self, tokenizer):
        with pytest.raises(ValueError, match=r"\(2, 5, 12\): tiny expects \(b, 6, 12\)"):
            optimize(tokenizer, redness, torch.zeros(2, 5, 12))

    def test_an_empty_batch(self, tokenizer):
        with pytest.raises(ValueError, match="no image"):
            optimize(tokenizer, redness, torch.zeros(0, 6, 12))

    def test_a_reset_without_target(self, tokenizer, features):
        with pytest.raises(ValueError, match="give `reset`, for example MaskedL1Loss.composite"):
            optimize(tokenizer, redness, features, OptimizeConfig(reset_every=5))

    def test_a_wrong_number_of_seeds(self, tokenizer, features):
        with pytest.raises(ValueError, match="seeds has 2 entries for 3 images"):
            optimize(tokenizer, redness, features, seeds=[1, 2])

    @pytest.mark.parametrize(
        ("loss", "message"),
        [
            (lambda images: images.mean(), "one number per image"),
            (lambda images: images.mean((2, 3)), "one number per image"),
            (lambda images: images.detach().mean((1, 2, 3)), "does not depend on the images"),
        ],
    )
    def test_a_loss_that_is_none(self, tokenizer, features, loss, message):
        with pytest.raises(ValueError, match=message):
            next(optimize(tokenizer, loss, features, SHORT))
