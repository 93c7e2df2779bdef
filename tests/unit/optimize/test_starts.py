"""Starts without an image: each seed its own, and the best of several."""

from __future__ import annotations

import pytest
import torch

from tokenopt_core.losses.base import WeightedSum
from tokenopt_core.losses.clip import ClipLoss
from tokenopt_core.optimize.config import OptimizeConfig
from tokenopt_core.optimize.loop import optimize, render
from tokenopt_core.optimize.starts import best_of, random_codes, random_features, sample_features


def redness(images):
    return (images[:, 1:] - images[:, :1]).mean((1, 2, 3))


class TestRandom:
    def test_features_are_normal_and_a_row_belongs_to_its_seed(self, tokenizer, untouched_rng):
        many = random_features(tokenizer.spec, range(400), 2.5)
        assert many.shape == (400, 6, 12)
        assert many.mean().abs() < 0.05
        assert many.std().item() == pytest.approx(2.5, rel=0.02)
        assert torch.equal(many[7], random_features(tokenizer.spec, [7], 2.5)[0])

    @pytest.mark.parametrize("kind", ["tokenizer", "plain_tokenizer"])
    def test_features_of_random_codes_have_these_codes(self, request, kind, untouched_rng):
        tokenizer = request.getfixturevalue(kind)
        codes, features = random_codes(tokenizer, range(50))
        assert codes.shape == (50, 6)
        assert torch.equal(tokenizer.quantize(features).codes, codes)
        assert len(codes.unique()) > 50  # of 64, in 300 draws
        again = random_codes(tokenizer, [7])
        assert torch.equal(again[0][0], codes[7])
        assert torch.equal(again[1][0], features[7])

    def test_where_only_directions_count_codes_are_as_long_as_features(self, tokenizer):
        _, features = random_codes(tokenizer, range(50), 2.0)
        lengths = features.norm(dim=-1)
        torch.testing.assert_close(lengths, torch.full_like(lengths, 2 * 12**0.5))
        normal = random_features(tokenizer.spec, range(50), 2.0).norm(dim=-1)
        assert normal.mean().item() == pytest.approx(lengths.mean().item(), rel=0.05)

    def test_a_vae_has_no_codes(self, vae):
        with pytest.raises(ValueError, match="tiny is a VAE, which has no codes: use random_fea"):
            random_codes(vae, [0])

    @pytest.mark.parametrize("spread", [float("nan"), float("inf"), 0.0, -1.0])
    def test_a_spread_that_is_none(self, tokenizer, spread):
        with pytest.raises(ValueError, match=f"spread is {spread}: expected a finite number above"):
            random_features(tokenizer.spec, [0], spread)
        with pytest.raises(ValueError, match="spread"):
            random_codes(tokenizer, [0], spread)


class TestSample:
    def test_draws_from_the_posterior(self, vae, images, untouched_rng):
        posterior = vae.posterior(images[:1])
        drawn = sample_features(vae, images[:1].expand(400, -1, -1, -1), 0)
        error = (drawn.mean(0) - posterior.mean[0]) / posterior.std[0]
        assert error.abs().max() < 5 / 400**0.5
        torch.testing.assert_close(drawn.std(0), posterior.std[0], rtol=0.2, atol=0)

    def test_a_row_belongs_to_its_seed(self, vae, images):
        together = sample_features(vae, images, [5, 6, 7])
        torch.testing.assert_close(sample_features(vae, images[1:2], [6]), together[1:2])
        assert not torch.allclose(sample_features(vae, images[1:2], [5]), together[1:2])

    def test_a_codebook_has_no_posterior(self, tokenizer, images):
        with pytest.raises(ValueError, match="has a codebook and no posterior"):
            sample_features(tokenizer, images, 0)


class TestBestOf:
    @pytest.fixture
    def candidates(self, tokenizer):
        return random_features(tokenizer.spec, range(12)).unflatten(0, (3, 4))

    def test_returns_the_lowest_of_each_image(self, tokenizer, candidates):
        best, losses = best_of(tokenizer, redness, candidates)
        assert losses.shape == (3, 4)
        for row in range(3):
            expected = redness(render(tokenizer, candidates[row])[0])
            torch.testing.assert_close(losses[row], expected)
            assert torch.equal(best[row], candidates[row, expected.argmin()])
        torch.testing.assert_close(redness(render(tokenizer, best)[0]), losses.min(1).values)

    def test_each_image_has_its_own_prompt_and_crops(self, tokenizer, guide, candidates):
        prompts = ["a red circle", "a blue square", "dark"]
        loss = WeightedSum([(1.0, ClipLoss(guide, prompts, crops=2))])
        together = best_of(tokenizer, loss, candidates, seeds=[3, 1, 4])
        alone = WeightedSum([(1.0, ClipLoss(guide, prompts[1], crops=2))])
        single = best_of(tokenizer, alone, candidates[1:2], seeds=[1])
        torch.testing.assert_close(single[1][0], together[1][1], rtol=1e-4, atol=1e-5)
        assert torch.equal(single[0][0], together[0][1])

    def test_the_loss_is_that_of_the_first_step(self, tokenizer, guide, candidates):
        """Same crops for all candidates, those that the run begins with."""
        loss = ClipLoss(guide, "a red circle", crops=2)
        best, losses = best_of(tokenizer, loss, candidates, seeds=9)
        step = next(iter(optimize(tokenizer, loss, best, OptimizeConfig(), seeds=9)))
        torch.testing.assert_close(step.loss, losses.min(1).values, rtol=1e-4, atol=1e-5)

    def test_a_loss_that_is_no_number_never_wins(self, tokenizer, candidates):
        calls = []

        def sometimes(images):
            calls.append(0)
            return redness(images) * (torch.nan if len(calls) == 2 else 1.0)

        best, losses = best_of(tokenizer, sometimes, candidates)
        assert losses[:, 1].isnan().all()
        assert not any(torch.equal(best[row], candidates[row, 1]) for row in range(3))

    def test_progress_ends_it(self, tokenizer, candidates):
        seen = []

        def cancel(done: int, total: int) -> None:
            seen.append((done, total))
            if done == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            best_of(tokenizer, redness, candidates, progress=cancel)
        assert seen == [(1, 4), (2, 4)]

    def test_candidates_of_another_shape(self, tokenizer, features):
        with pytest.raises(ValueError, match=r"candidates have shape \(3, 6, 12\): expected \(b,"):
            best_of(tokenizer, redness, features)
