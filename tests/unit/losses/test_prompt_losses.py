"""What weighted, scheduled and image prompts do to pictures, with the demo guide."""

from __future__ import annotations

import pytest
import torch

from tokenopt_core import (
    ClipImageLoss,
    ClipLoss,
    OptimizeConfig,
    WeightedSum,
    WeightedText,
    load_guide,
    optimize,
)
from tokenopt_core.demo import render as draw
from tokenopt_core.demo import sample

RED, BLUE = "a large red circle in the middle", "a small blue star on the left"


@pytest.fixture(scope="module")
def demo():
    """The guide that users have."""
    return load_guide("demo")


@pytest.fixture(scope="module")
def scenes():
    """Three pictures of the demo world, (3, 3, 64, 64)."""
    return draw(sample(3, seed=11), seed=11)


def gradient_of(loss, images):
    variable = images.clone().requires_grad_()
    return torch.autograd.grad(loss(variable).sum(), variable)[0]


def similarity(guide, images, text):
    return -ClipLoss(guide, text, crops=0)(images)


def descend(loss, images, steps=15, length=0.5):
    """Pixels after a few normalized gradient steps."""
    for _ in range(steps):
        gradient = gradient_of(loss, images)
        images = images - length * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return images


class TestWeights:
    def test_the_loss_is_the_weighted_sum_of_the_parts(self, demo, scenes):
        whole = ClipLoss(demo, f"{RED}:1.5 | {BLUE}:-0.4 | bright")
        terms = whole.terms(scenes)
        for (name, value), text, weight in zip(
            terms.items(), (RED, BLUE, "bright"), (1.5, -0.4, 1), strict=True
        ):
            assert name.startswith("clip: " + text[:20])
            torch.testing.assert_close(value, weight * ClipLoss(demo, text)(scenes))
        torch.testing.assert_close(whole(scenes), sum(terms.values()))

    def test_one_part_of_weight_1_is_the_plain_prompt_to_the_bit(self, demo, scenes):
        plain, weighted = ClipLoss(demo, RED), ClipLoss(demo, f"{RED}:1")
        assert list(weighted.terms(scenes)) == ["clip"]
        assert torch.equal(plain(scenes), weighted(scenes))

    def test_a_positive_part_pulls_and_a_negative_part_pushes(self, demo, scenes):
        after = descend(ClipLoss(demo, f"{RED}:1 | {BLUE}:-0.3", crops=0), scenes)
        only_pulled = descend(ClipLoss(demo, RED, crops=0), scenes)
        assert (similarity(demo, after, RED) > similarity(demo, scenes, RED)).all()
        assert (similarity(demo, after, BLUE) < similarity(demo, only_pulled, BLUE)).all()

    def test_only_negative_parts_push_away_and_are_remarked(self, demo, scenes):
        loss = ClipLoss(demo, f"{BLUE}:-0.5", crops=0)
        after = descend(loss, scenes)
        assert (similarity(demo, after, BLUE) < similarity(demo, scenes, BLUE)).all()
        assert any("only says what to avoid" in line for line in loss.remarks())

    def test_a_weight_of_0_has_no_gradient(self, demo, scenes):
        both = gradient_of(ClipLoss(demo, f"{RED} | {BLUE}:0"), scenes)
        torch.testing.assert_close(both, gradient_of(ClipLoss(demo, RED), scenes))

    def test_parts_can_be_given_as_values(self, demo, scenes):
        parts = (WeightedText(RED, 2.0), WeightedText("12:30", -0.5))
        expected = 2 * ClipLoss(demo, RED)(scenes) - 0.5 * ClipLoss(demo, "12:30:1")(scenes)
        torch.testing.assert_close(ClipLoss(demo, parts)(scenes), expected)
        torch.testing.assert_close(ClipLoss(demo, [parts] * 3)(scenes), expected)

    def test_equal_texts_keep_a_curve_each(self, demo, scenes):
        terms = ClipLoss(demo, "bright:1@0-0.5 | bright:2@0.5-1").terms(scenes)
        assert list(terms) == ["clip: bright", "clip: bright 2"]


class TestPromptsPerImage:
    PROMPTS = (f"{RED}:1 | {BLUE}:-0.5", BLUE, f"dark:2@0.5-1 | {RED}:0.5@0-0.2 | bright:-1")

    @pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
    @pytest.mark.parametrize("row", [0, 1, 2])
    def test_an_image_has_the_same_loss_alone(self, demo, scenes, row, progress):
        together = ClipLoss(demo, self.PROMPTS).seeded([4, 5, 6]).at(progress)
        alone = ClipLoss(demo, self.PROMPTS[row]).seeded([4 + row]).at(progress)
        for _ in range(2):  # the second call has other crops
            torch.testing.assert_close(
                together(scenes)[row : row + 1], alone(scenes[row : row + 1])
            )

    def test_terms_are_named_by_text_where_it_is_the_same_and_by_number_where_not(self, demo):
        images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        terms = ClipLoss(demo, [f"{RED} | dark:-1", f"{BLUE} | dark:-2"]).terms(images)
        assert list(terms) == ["clip: part 1", "clip: dark"]

    @pytest.mark.parametrize("prompts", [[], ["a", ""], ["a", " "], ["a", ()], ["a", None]])
    def test_empty_ones_are_refused(self, demo, prompts):
        with pytest.raises(ValueError, match="expected a text, or one per image"):
            ClipLoss(demo, prompts)


class TestSchedule:
    def test_a_part_changes_the_gradient_only_within_its_range(self, demo, scenes):
        loss = ClipLoss(demo, f"{RED}:1@0-0.5 | {BLUE}:1@0.5-1", crops=0)
        red, blue = (gradient_of(ClipLoss(demo, t, crops=0), scenes) for t in (RED, BLUE))
        for progress, expected in ((0.0, red), (0.49, red), (0.5, blue), (1.0, blue)):
            torch.testing.assert_close(gradient_of(loss.at(progress), scenes), expected)
        assert not torch.allclose(red, blue)

    def test_between_two_ranges_nothing_pulls_and_all_curves_go_on(self, demo, scenes):
        loss = ClipLoss(demo, f"{RED}:1@0-0.3 | {BLUE}:1@0.6-1").at(0.5)
        assert not gradient_of(loss, scenes).any()
        assert len(loss.terms(scenes)) == 2

    def test_without_a_moment_the_loss_is_that_of_the_start(self, demo, scenes):
        loss = ClipLoss(demo, f"{RED}:1@0-0.3 | {BLUE}:1@0.6-1")
        assert torch.equal(loss(scenes), loss.at(0.0)(scenes))

    def test_a_moment_leaves_the_loss_as_it_is(self, demo, scenes):
        loss = ClipLoss(demo, f"{RED}:1@0-0.3")
        before = loss(scenes)
        loss.at(0.9)
        assert torch.equal(loss(scenes), before)

    def test_it_reaches_the_parts_of_a_sum(self, demo, scenes):
        inner = WeightedSum([(2.0, ClipLoss(demo, f"{RED}:1@0-0.5"))])
        loss = WeightedSum([(1.0, inner), (1.0, lambda images: images.mean((1, 2, 3)))])
        first, last = (loss.at(progress).terms(scenes)["clip"] for progress in (0.0, 1.0))
        assert first.all()
        assert not last.any()

    def test_crops_go_on_from_moment_to_moment_and_from_run_to_run(self, demo, scenes):
        loss = ClipLoss(demo, f"{RED}:1 | {BLUE}:0.5@0.5-1")
        run = loss.seeded([1, 2, 3])
        values = [run.at(0.6)(scenes) for _ in range(4)]
        assert not torch.equal(values[0], values[1])
        later = loss.seeded([1, 2, 3], 2)
        assert torch.equal(later.at(0.6)(scenes), values[2])
        summed = WeightedSum([(1.0, loss)]).seeded([1, 2, 3], 3)
        torch.testing.assert_close(summed.at(0.6)(scenes), values[3])

    def test_a_run_follows_it(self, guide, tokenizer, features):
        def run(prompt):
            config = OptimizeConfig(steps=6)
            return list(optimize(tokenizer, ClipLoss(guide, prompt), features, config, seeds=3))

        scheduled, first = run("a red circle:1@0-0.5 | dark:2@0.5-1"), run("a red circle")
        for step, other in zip(scheduled[:3], first, strict=False):
            assert torch.equal(step.next_features, other.next_features)
            assert not step.terms["clip: dark"].any()
        assert not torch.equal(scheduled[3].next_features, first[3].next_features)
        for step in scheduled[3:]:
            assert not step.terms["clip: a red circle"].any()
            assert step.terms["clip: dark"].all()


class TestImagePrompt:
    def test_is_minus_the_similarity_to_the_image(self, demo, scenes):
        target = scenes[:1].flip(3)
        features = demo.encode_image(torch.cat([target, scenes]))
        loss = ClipImageLoss(demo, target, crops=0)
        torch.testing.assert_close(loss(scenes), -features[1:] @ features[0])
        torch.testing.assert_close(ClipImageLoss(demo, scenes, crops=0)(scenes), -torch.ones(3))

    def test_pulls_towards_the_image(self, demo, scenes):
        loss = ClipImageLoss(demo, scenes[2:]).seeded([0, 1])
        after = descend(loss, scenes[:2])
        close = ClipImageLoss(demo, scenes[2:], crops=0)
        assert (close(after) < close(scenes[:2]) - 0.02).all()

    def test_one_image_each_and_the_same_alone(self, demo, scenes):
        targets = scenes.flip(0)
        together = ClipImageLoss(demo, targets).seeded([4, 5, 6])(scenes)
        alone = ClipImageLoss(demo, targets[1:2]).seeded([5])(scenes[1:2])
        torch.testing.assert_close(together[1:2], alone)

    def test_takes_images_of_any_size_also_from_inference_mode(self, demo, scenes):
        with torch.inference_mode():
            image = torch.rand(1, 3, 40, 90)
        loss = ClipImageLoss(demo, image)
        assert gradient_of(loss, scenes).abs().sum() > 0
        assert list(WeightedSum([(1.0, loss)]).terms(scenes)) == ["clip image"]

    @pytest.mark.parametrize(
        ("image", "message"),
        [
            (torch.zeros(3, 8, 8), "image: found the shape"),
            (torch.zeros(1, 1, 8, 8), "image: found the shape"),
            (torch.zeros(0, 3, 8, 8), "image has shape"),
            (torch.full((1, 3, 8, 8), 255.0), "no numbers from 0 to 1"),
            (torch.full((1, 3, 8, 8), float("nan")), "no numbers from 0 to 1"),
        ],
    )
    def test_what_is_no_image(self, demo, image, message):
        with pytest.raises(ValueError, match=message):
            ClipImageLoss(demo, image)

    def test_a_wrong_number_of_images(self, demo, scenes):
        with pytest.raises(ValueError, match="compares 3 images with 2: give one image or one per"):
            ClipImageLoss(demo, scenes[:2])(scenes)


def test_several_guides_at_once(demo, siglip_folder, scenes):
    other = load_guide(siglip_folder)
    parts = [ClipLoss(demo, RED), ClipLoss(other, "a red circle", name="siglip")]
    loss = WeightedSum([(1.0, parts[0]), (0.5, parts[1])]).seeded([1, 2, 3])
    expected = sum(
        weight * gradient_of(part.seeded([1, 2, 3]), scenes)
        for weight, part in zip((1.0, 0.5), parts, strict=True)
    )
    torch.testing.assert_close(gradient_of(loss, scenes), expected)
    assert list(loss.terms(scenes)) == ["clip", "siglip"]
