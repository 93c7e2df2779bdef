"""The loop: reproducible per image, frozen models, records that nothing changes afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tokenopt_core.losses.base import WeightedSum
from tokenopt_core.losses.clip import ClipLoss
from tokenopt_core.losses.masked import MaskedL1Loss
from tokenopt_core.optimize.config import OptimizeConfig
from tokenopt_core.optimize.loop import optimize, render

SHORT = OptimizeConfig(steps=4)
EVERYTHING = OptimizeConfig(
    steps=6, ema_decay=0.9, token_noise=0.2, regularize="seed", reg_weight=0.1, reset_every=2
)


ALL = slice(None)


def redness(images: Tensor) -> Tensor:
    return (images[:, 1:] - images[:, :1]).mean((1, 2, 3))


def last(run) -> Tensor:
    return list(run)[-1].next_features


class TestReproducibility:
    def arguments(self, guide, images, rows=ALL):
        mask = torch.zeros(len(images), 1, 32, 32)
        mask[..., 10:20] = 1
        known = MaskedL1Loss(images[rows], mask[rows])
        prompts = ["a red circle", "a blue square", "dark"][rows]
        loss = WeightedSum([(1.0, ClipLoss(guide, prompts, crops=3)), (2.0, known)])
        return {"loss": loss, "config": EVERYTHING, "reset": known.composite}

    def test_same_seed_same_result(self, tokenizer, guide, features, images, untouched_rng):
        runs = [
            last(optimize(tokenizer, features=features, seeds=7, **self.arguments(guide, images)))
            for _ in range(2)
        ]
        assert torch.equal(*runs)

    def test_another_seed_another_result(self, tokenizer, guide, features, images):
        arguments = self.arguments(guide, images)
        runs = [last(optimize(tokenizer, features=features, seeds=s, **arguments)) for s in (7, 8)]
        assert not torch.equal(*runs)

    @pytest.mark.parametrize("row", [0, 1, 2])
    def test_an_image_does_not_depend_on_its_batch(self, tokenizer, guide, features, images, row):
        together = optimize(
            tokenizer, features=features, seeds=[3, 1, 4], **self.arguments(guide, images)
        )
        rows = slice(row, row + 1)
        alone = optimize(
            tokenizer,
            features=features[rows],
            seeds=[3, 1, 4][rows],
            **self.arguments(guide, images, rows),
        )
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a.next_features[rows], b.next_features, rtol=1e-3, atol=1e-3)
            torch.testing.assert_close(a.loss[rows], b.loss, rtol=1e-3, atol=1e-4)

    def test_a_seed_means_consecutive_seeds(self, tokenizer, features):
        config = OptimizeConfig(steps=3, token_noise=0.5)
        runs = [
            last(optimize(tokenizer, redness, features, config, seeds=s)) for s in (5, [5, 6, 7])
        ]
        assert torch.equal(*runs)

    def test_the_largest_seed_of_comfyui_works(self, tokenizer, features):
        config = OptimizeConfig(steps=1, token_noise=0.5)
        last(optimize(tokenizer, redness, features, config, seeds=2**64 - 1))


class TestModes:
    def test_inference_mode_is_refused(self, tokenizer, features):
        with torch.inference_mode(), pytest.raises(RuntimeError, match="inference_mode"):
            optimize(tokenizer, redness, features, SHORT)

    def test_inference_mode_between_steps_is_refused(self, tokenizer, features):
        run = optimize(tokenizer, redness, features, SHORT)
        next(run)
        with torch.inference_mode(), pytest.raises(RuntimeError, match="a step of optimize"):
            next(run)

    def test_weights_moved_under_inference_mode_are_refused(self, make_tokenizer, features):
        model = make_tokenizer()
        with torch.inference_mode():
            model.to(torch.bfloat16)
        with pytest.raises(
            RuntimeError, match="the tokenizer's weight 'latent_tokens' was made or"
        ):
            optimize(model, redness, features, SHORT)

    def test_a_guide_moved_under_inference_mode_is_refused(self, tokenizer, clip_folder, features):
        from tokenopt_core.guides.guide import load_guide

        guide = load_guide(clip_folder)
        with torch.inference_mode():
            guide.to(torch.float64)
        loss = WeightedSum([(1.0, ClipLoss(guide, "a red circle"))])
        with pytest.raises(RuntimeError, match="the guide's weight"):
            optimize(tokenizer, loss, features, SHORT)

    @pytest.mark.parametrize("enabled", [True, False])
    def test_the_callers_grad_mode_is_left_alone(self, tokenizer, features, enabled):
        with torch.set_grad_enabled(enabled):
            for _ in optimize(tokenizer, redness, features, SHORT):
                assert torch.is_grad_enabled() == enabled
            assert torch.is_grad_enabled() == enabled

    def test_features_from_inference_mode_are_accepted(self, tokenizer, features):
        with torch.inference_mode():
            made = features * 1.0
        assert torch.equal(
            last(optimize(tokenizer, redness, made, SHORT)),
            last(optimize(tokenizer, redness, features, SHORT)),
        )

    def test_weights_get_no_gradient_even_if_they_could(self, make_tokenizer, features):
        model = make_tokenizer().requires_grad_(True)
        last(optimize(model, redness, features, SHORT))
        assert all(parameter.grad is None for parameter in model.parameters())


class TestSteps:
    def test_records_are_detached_and_nothing_changes_them(self, tokenizer, features):
        config = replace(EVERYTHING, reset_every=0)
        steps, before = [], []
        for step in optimize(tokenizer, redness, features, config):
            steps.append(step)
            before.append([value.clone() for value in tensors(step)])
        for step, values in zip(steps, before, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(tensors(step), values, strict=True))
            assert not any(value.requires_grad or value.grad_fn for value in tensors(step))
        pointers = [value.untyped_storage().data_ptr() for s in steps for value in tensors(s)]
        assert len(pointers) == len(set(pointers))

    def test_changing_a_record_does_not_change_the_run(self, tokenizer, features):
        def spoiled():
            for step in optimize(tokenizer, redness, features, EVERYTHING, reset=spoil):
                yield step.next_features.clone()
                for value in tensors(step):
                    value.zero_()

        def spoil(images):
            return images * 0.5

        clean = [
            s.next_features for s in optimize(tokenizer, redness, features, EVERYTHING, reset=spoil)
        ]
        assert all(torch.equal(a, b) for a, b in zip(spoiled(), clean, strict=True))

    def test_everything_in_a_step_belongs_to_its_features(self, tokenizer, features):
        for step in optimize(
            tokenizer, redness, features, OptimizeConfig(steps=3, token_noise=0.3)
        ):
            images, quantized = render(tokenizer, step.features)
            torch.testing.assert_close(images, step.images)
            assert torch.equal(quantized.codes, step.codes)
            torch.testing.assert_close(redness(images), step.loss)
            assert list(step.terms) == ["redness"]

    def test_features_are_not_changed(self, tokenizer, features):
        before = features.clone()
        steps = list(optimize(tokenizer, redness, features, SHORT))
        assert torch.equal(features, before)
        assert torch.equal(steps[0].features, before)

    def test_one_step_with_every_option(self, tokenizer, features):
        config = replace(EVERYTHING, steps=1)
        (step,) = optimize(tokenizer, redness, features, config, reset=lambda images: images)
        assert step.index == 0
        torch.testing.assert_close(step.averaged, step.next_features)

    def test_leaving_early_is_just_leaving(self, tokenizer, features):
        whole = list(optimize(tokenizer, redness, features, OptimizeConfig(steps=5, ema_decay=0.9)))
        run = optimize(tokenizer, redness, features, OptimizeConfig(steps=500, ema_decay=0.9))
        for step in run:
            if step.index == 4:
                break
        assert torch.equal(step.averaged, whole[4].averaged)

    def test_images_reach_the_loss_in_range_and_can_come_back(self, tokenizer, features):
        seen = []

        def brightness(images):
            seen.append(images.detach())
            return -images.mean((1, 2, 3))

        steps = list(optimize(tokenizer, brightness, features, OptimizeConfig(steps=20)))
        assert all(image.min() >= 0 and image.max() <= 1 for image in seen)
        assert all(torch.equal(a, step.images) for a, step in zip(seen, steps, strict=True))


def tensors(step) -> list[Tensor]:
    """Every tensor of a step."""
    found = [value for value in vars(step).values() if isinstance(value, Tensor)]
    return [*found, *step.terms.values()]
