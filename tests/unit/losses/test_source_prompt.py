"""A text loss with a source prompt: what both texts share is not asked for."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tokenopt_core import (
    ClipLoss,
    MaskedComposite,
    OptimizeConfig,
    WeightedSum,
    load_guide,
    load_tokenizer,
    optimize,
)
from tokenopt_core.demo import render as draw
from tokenopt_core.demo import sample
from tokenopt_core.losses.clip import SMALLEST_CHANGE

RED, BLUE = "a red circle", "a blue circle"


@pytest.fixture(scope="module")
def demo():
    """The guide that users have."""
    return load_guide("demo")


@pytest.fixture(scope="module")
def scenes():
    """Four pictures of the demo world, (4, 3, 64, 64)."""
    return draw(sample(4, seed=3), seed=3)


def cosine(guide, before, after, prompt, source):
    """The cosine (b,) of the two changes, of whole images."""

    def embedded(images):
        size = (guide.image_size,) * 2
        return guide.encode_image(F.interpolate(images, size, mode="bilinear", antialias=True))

    text, start = guide.encode_text([prompt]), guide.encode_text([source])
    return F.cosine_similarity(embedded(after) - embedded(before), text - start)


class TestDirection:
    def test_it_is_minus_the_cosine_between_the_changes_of_image_and_text(self, demo, scenes):
        before, after = scenes[:2], scenes[2:]
        loss = ClipLoss(demo, RED, source_prompt=BLUE, crops=0).started(lambda: before)
        exact = -cosine(demo, before, after, RED, BLUE)
        torch.testing.assert_close(loss(after), exact, rtol=0.02, atol=1e-3)

    @pytest.mark.parametrize("preserve", [0.0, 0.3, 1.0])
    def test_preserve_goes_from_the_plain_loss_to_the_direction(self, demo, scenes, preserve):
        def loss(share):
            made = ClipLoss(demo, f"{RED}:2", source_prompt=BLUE, preserve=share)
            return made.seeded([1, 2]).started(lambda: scenes[:2])(scenes[2:])

        plain = ClipLoss(demo, f"{RED}:2").seeded([1, 2])(scenes[2:])
        torch.testing.assert_close(loss(preserve), (1 - preserve) * plain + preserve * loss(1.0))

    def test_at_the_start_it_is_0_and_its_gradient_is_finite(self, demo, scenes):
        loss = ClipLoss(demo, RED, source_prompt=BLUE, crops=0).started(lambda: scenes)
        images = scenes.clone().requires_grad_()
        values = loss(images)
        (gradient,) = torch.autograd.grad(values.sum(), images)
        torch.testing.assert_close(values, torch.zeros(4), atol=1e-4, rtol=0)
        assert gradient.isfinite().all()
        assert gradient.any()
        other = ClipLoss(demo, RED, crops=0)
        (plain,) = torch.autograd.grad(other(images).sum(), images)
        assert gradient.norm() < 4 / SMALLEST_CHANGE * plain.norm()

    def test_both_images_are_seen_through_the_same_crops(self, demo, scenes):
        loss = ClipLoss(demo, RED, source_prompt=BLUE).started(lambda: scenes).seeded(range(4))
        for _ in range(3):
            torch.testing.assert_close(loss(scenes), torch.zeros(4), atol=1e-4, rtol=0)

    def test_an_image_has_the_same_loss_alone(self, demo, scenes):
        before, after = scenes[:2], scenes[2:]
        prompts, sources = (RED, f"{BLUE}:0.5 | dark:-0.3"), ("a pink star", "bright")
        together = ClipLoss(demo, prompts, "blurred", source_prompt=sources)
        together = together.seeded([5, 6]).started(lambda: before)
        alone = ClipLoss(demo, prompts[1], "blurred", source_prompt=sources[1])
        alone = alone.seeded([6]).started(lambda: before[1:])
        for _ in range(2):
            torch.testing.assert_close(together(after)[1:], alone(after[1:]))

    @pytest.mark.parametrize("nothing", [None, "", " ", ["", ""]])
    def test_without_one_it_is_the_plain_loss_to_the_bit(self, demo, scenes, nothing):
        loss = ClipLoss(demo, RED, source_prompt=nothing).started(lambda: 1 / 0)
        assert torch.equal(loss(scenes), ClipLoss(demo, RED)(scenes))


class TestStart:
    def test_a_run_tells_its_start_through_every_loss_around(self, demo, scenes):
        """The first step, without noise, sees the start itself: the loss is 0."""
        tokenizer = load_tokenizer("demo")
        features = tokenizer.encode(scenes[:2])
        inner = ClipLoss(demo, RED, source_prompt=BLUE)
        mask = torch.ones(1, 1, 64, 64)
        mask[..., 32:] = 0
        for loss in (inner, WeightedSum([(1, MaskedComposite(inner, scenes[:2], mask))])):
            for quantize in (True, False):
                config = OptimizeConfig(steps=3, quantize=quantize)
                first, *_, last = optimize(tokenizer, loss, features, config)
                torch.testing.assert_close(first.loss, torch.zeros(2), atol=1e-3, rtol=0)
                assert (last.loss != 0).all()

    def test_a_run_that_goes_on_keeps_the_start(self, demo, scenes):
        tokenizer = load_tokenizer("demo")
        loss = ClipLoss(demo, RED, source_prompt=BLUE, crops=0)
        config = OptimizeConfig(steps=2, lr=0.3)
        *_, half = optimize(tokenizer, loss, tokenizer.encode(scenes[:1]), config)
        again = next(optimize(tokenizer, loss, config=config, state=half.state))
        assert (again.loss != 0).all()

    def test_without_a_start_the_loss_says_what_is_missing(self, demo, scenes):
        with pytest.raises(ValueError, match="there is no image at the start"):
            ClipLoss(demo, RED, source_prompt=BLUE)(scenes)

    def test_it_takes_one_source_or_one_per_image(self, demo, scenes):
        loss = ClipLoss(demo, RED, source_prompt=[BLUE, RED]).started(lambda: scenes)
        with pytest.raises(ValueError, match="source prompt of clip has 2 texts for 4 images"):
            loss(scenes)
        with pytest.raises(ValueError, match="source_prompt is .*: expected a text"):
            ClipLoss(demo, RED, source_prompt=[BLUE, ""])

    def test_the_same_text_twice_is_remarked_image_by_image(self, demo):
        said = ClipLoss(demo, RED, source_prompt=[BLUE, RED]).remarks()
        assert any("says the same as the prompt, 'a red circle'" in line for line in said)
        assert not ClipLoss(demo, [RED, BLUE], source_prompt=[BLUE, RED]).remarks()
        assert not ClipLoss(demo, RED, source_prompt=RED, preserve=0).remarks()

    def test_weights_in_it_are_remarked(self, demo):
        said = ClipLoss(demo, RED, source_prompt="a blue circle:1 | dark:-1").remarks()
        assert any(
            "the source prompt 'a blue circle:1 | dark:-1' is read as" in line for line in said
        )

    def test_where_both_texts_are_the_same_nothing_is_asked(self, demo, scenes):
        """Texts that are encoded in batches of different sizes differ by rounding."""
        loss = ClipLoss(demo, RED, source_prompt=[BLUE, RED], crops=0)
        before, images = scenes[:2], scenes[2:].clone().requires_grad_()
        values = loss.started(lambda: before)(images)
        (gradient,) = torch.autograd.grad(values.sum(), images)
        assert (values != 0).tolist() == [True, False]
        assert gradient[0].any()
        assert not gradient[1].any()

    def test_a_start_of_other_images_is_refused(self, demo, scenes):
        loss = ClipLoss(demo, RED, source_prompt=BLUE)
        for start in (scenes[:1], scenes[..., :32, :32]):
            with pytest.raises(ValueError, match="expected the same shape"):
                loss.started(lambda start=start: start)(scenes)

    def test_a_flag_of_that_name_is_no_method(self, scenes):
        def loss(images):
            return images.mean((1, 2, 3))

        loss.started = False
        tokenizer = load_tokenizer("demo")
        config = OptimizeConfig(steps=1)
        next(optimize(tokenizer, loss, tokenizer.encode(scenes[:1]), config))

    @pytest.mark.parametrize("preserve", [-0.1, 1.5, float("nan")])
    def test_preserve_is_a_share(self, demo, preserve):
        with pytest.raises(ValueError, match="preserve is .*: expected a number from 0 to 1"):
            ClipLoss(demo, RED, source_prompt=BLUE, preserve=preserve)
