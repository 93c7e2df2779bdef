"""Losses: per image, composable, reproducible, and clear about what does not fit."""

from __future__ import annotations

import pytest
import torch

from tokenopt_core.losses.base import WeightedSum, as_loss
from tokenopt_core.losses.clip import ClipLoss
from tokenopt_core.losses.masked import MaskedL1Loss

PROMPTS = ["a red circle", "a blue square", "a green circle on the left"]


def brightness(images):
    return images.mean((1, 2, 3))


class TestClipLoss:
    def test_is_minus_the_similarity_to_the_prompt(self, guide, images):
        loss = ClipLoss(guide, "a red circle", crops=0)
        expected = -guide.encode_image(images) @ guide.encode_text(["a red circle"])[0]
        torch.testing.assert_close(loss(images), expected)

    def test_averages_over_crops(self, guide, images):
        loss = ClipLoss(guide, "a red circle", crops=5, crop_area=1.0, flip=False)
        torch.testing.assert_close(loss(images), ClipLoss(guide, "a red circle", crops=0)(images))

    def test_one_prompt_per_image(self, guide, images):
        each = [ClipLoss(guide, text, crops=0)(images)[i] for i, text in enumerate(PROMPTS)]
        torch.testing.assert_close(ClipLoss(guide, PROMPTS, crops=0)(images), torch.stack(each))

    def test_a_wrong_number_of_prompts_is_refused(self, guide, images):
        with pytest.raises(ValueError, match="clip has 2 texts for 3 images"):
            ClipLoss(guide, PROMPTS[:2])(images)

    def test_an_image_is_scored_the_same_alone_and_in_a_batch(self, guide, images):
        loss = ClipLoss(guide, PROMPTS, "dark", crops=4)
        together = loss.seeded([4, 5, 6])(images)
        alone = ClipLoss(guide, PROMPTS[1], "dark", crops=4).seeded([5])(images[1:2])
        torch.testing.assert_close(together[1:2], alone)

    def test_seeds_repeat_and_differ_and_advance(self, guide, images, untouched_rng):
        loss = ClipLoss(guide, "a red circle")
        first, again, other = loss.seeded([1] * 3), loss.seeded([1] * 3), loss.seeded([2] * 3)
        values = [first(images) for _ in range(2)]
        assert torch.equal(values[0], again(images))
        assert not torch.equal(values[0], values[1])
        assert not torch.equal(values[0], other(images))

    def test_without_seeds_the_same_call_gives_the_same_value(self, guide, images, untouched_rng):
        loss = ClipLoss(guide, "a red circle")
        assert torch.equal(loss(images), loss(images))

    def test_seeded_for_another_batch_is_refused(self, guide, images):
        with pytest.raises(ValueError, match="seeded for 2 images and got 3"):
            ClipLoss(guide, "a red circle").seeded([1, 2])(images)

    def test_terms_add_up_and_name_the_negative_prompt(self, guide, images):
        loss = ClipLoss(guide, "a red circle", "dark", negative_weight=0.3, name="look")
        terms = loss.terms(images)
        assert list(terms) == ["look", "look negative"]
        torch.testing.assert_close(sum(terms.values()), loss(images))

    def test_the_negative_prompt_adds_its_similarity(self, guide, images):
        value = ClipLoss(guide, "a red circle", "dark", crops=0, negative_weight=0.5)(images)
        plain, dark = (ClipLoss(guide, text, crops=0)(images) for text in ("a red circle", "dark"))
        torch.testing.assert_close(value, plain - 0.5 * dark)

    @pytest.mark.parametrize("nothing", [None, "", "  ", []])
    def test_no_negative_prompt(self, guide, images, nothing):
        assert list(ClipLoss(guide, "a", nothing).terms(images)) == ["clip"]

    def test_texts_are_encoded_once(self, guide, images, monkeypatch):
        calls = []
        encode = guide.encode_text
        monkeypatch.setattr(
            guide, "encode_text", lambda texts: calls.append(texts) or encode(texts)
        )
        loss = ClipLoss(guide, "a red circle").seeded([0, 1, 2])
        for _ in range(3):
            loss(images)
        assert calls == [["a red circle"]]

    def test_a_text_encoded_under_inference_mode_serves_gradients(self, guide, images):
        with torch.inference_mode():
            loss = ClipLoss(guide, "a red circle")
            loss(images)
        (gradient,) = torch.autograd.grad(loss(images.requires_grad_()).sum(), images)
        assert gradient.abs().sum() > 0

    def test_any_image_size(self, guide):
        for shape in ((1, 3, 20, 20), (1, 3, 100, 61), (1, 3, 7, 9)):
            assert ClipLoss(guide, "a", crops=2)(torch.rand(shape)).shape == (1,)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"prompt": " "}, "prompt is ' ': expected a text"),
            ({"prompt": ["a", ""]}, "none of them empty"),
            ({"crops": -1}, "crops is -1"),
            ({"crops": 2.5}, "crops is 2.5"),
            ({"crop_area": 0}, "crop_area is 0"),
            ({"crop_area": 1.2}, "crop_area is 1.2"),
            ({"negative_weight": -1.0}, "negative_weight is -1.0"),
            ({"negative_weight": 5000.0}, "negative_weight is 5000.0: .* up to 1000"),
            ({"negative_prompt": ["dark", ""]}, "negative_prompt is .*none of them empty"),
        ],
    )
    def test_bad_settings(self, guide, arguments, message):
        with pytest.raises(ValueError, match=message):
            ClipLoss(guide, **({"prompt": "a"} | arguments))


class TestMaskedL1Loss:
    def test_is_the_mean_over_the_known_pixels(self, images):
        mask = torch.zeros(1, 1, 32, 32)
        mask[..., 16:] = 1
        target = images.flip(0)
        expected = (images - target).abs()[..., :16].mean((1, 2, 3))
        torch.testing.assert_close(MaskedL1Loss(target, mask)(images), expected)

    def test_pixels_that_may_change_have_no_gradient(self, images):
        mask = torch.zeros(1, 1, 32, 32)
        mask[..., :5, :] = 1
        loss = MaskedL1Loss(torch.zeros(1, 3, 32, 32), mask)
        (gradient,) = torch.autograd.grad(loss(images.requires_grad_()).sum(), images)
        assert not gradient[..., :5, :].any()
        assert gradient[..., 5:, :].all()

    def test_a_soft_mask_weights_pixels(self):
        mask = torch.zeros(1, 1, 1, 2)
        mask[..., 1] = 0.75
        images = torch.tensor([0.5, 1.0]).expand(1, 3, 1, 2)
        loss = MaskedL1Loss(torch.zeros(1, 3, 1, 2), mask)(images)
        torch.testing.assert_close(loss, torch.tensor([(0.5 + 0.25) / 1.25]))

    def test_composite_keeps_what_is_known(self, images):
        mask = torch.zeros(3, 1, 32, 32)
        mask[1, :, 8:20] = 1
        target = images.flip(0)
        result = MaskedL1Loss(target, mask).composite(images)
        assert torch.equal(result[1, :, 8:20], images[1, :, 8:20])
        assert torch.equal(result[0], target[0])

    def test_inputs_from_inference_mode_serve_gradients(self, images):
        with torch.inference_mode():
            loss = MaskedL1Loss(images * 1.0, torch.zeros(1, 1, 32, 32))
        variable = (images * 0.5).requires_grad_()
        loss(variable).sum().backward()
        assert variable.grad.any()

    @pytest.mark.parametrize(
        ("target", "mask", "message"),
        [
            ((3, 8, 8), (1, 1, 8, 8), "target: found the shape"),
            ((1, 3, 8, 8), (1, 3, 8, 8), "mask has shape"),
            ((1, 3, 8, 8), (1, 1, 4, 4), "of the target's size, 8 x 8"),
        ],
    )
    def test_bad_shapes(self, target, mask, message):
        with pytest.raises(ValueError, match=message):
            MaskedL1Loss(torch.zeros(target), torch.zeros(mask))

    def test_bad_masks(self):
        target = torch.zeros(1, 3, 4, 4)
        with pytest.raises(ValueError, match="lets every pixel change"):
            MaskedL1Loss(target, torch.ones(1, 1, 4, 4))
        with pytest.raises(ValueError, match="outside"):
            MaskedL1Loss(target, torch.full((1, 1, 4, 4), 2.0))
        with pytest.raises(ValueError, match="target has pixels that are no numbers"):
            MaskedL1Loss(target / 0, torch.zeros(1, 1, 4, 4))

    def test_images_that_do_not_fit(self, images):
        loss = MaskedL1Loss(torch.zeros(2, 3, 32, 32), torch.zeros(1, 1, 32, 32))
        with pytest.raises(ValueError, match="resize the target"):
            loss(images)
        with pytest.raises(ValueError, match="resize the target"):
            loss(images[:2, :, :16])


class TestWeightedSum:
    def test_weights_and_terms(self, images):
        loss = WeightedSum([(2.0, brightness), (-0.5, lambda images: images[:, 0].mean((1, 2)))])
        terms = loss.terms(images)
        assert list(terms) == ["brightness", "<lambda>"]
        torch.testing.assert_close(terms["brightness"], 2 * brightness(images))
        torch.testing.assert_close(loss(images), sum(terms.values()))

    def test_equal_names_are_told_apart_also_when_nested(self, images):
        inner = WeightedSum([(1.0, brightness), (3.0, brightness)])
        terms = WeightedSum([(1.0, brightness), (2.0, inner)]).terms(images)
        values = [value / brightness(images) for value in terms.values()]
        torch.testing.assert_close(torch.stack(values)[:, 0], torch.tensor([1.0, 2.0, 6.0]))

    def test_seeds_reach_the_parts(self, guide, images):
        part = ClipLoss(guide, "a red circle")
        whole = WeightedSum([(2.0, part), (1.0, brightness)]).seeded([3, 4, 5])
        torch.testing.assert_close(whole.terms(images)["clip"], 2 * part.seeded([3, 4, 5])(images))

    @pytest.mark.parametrize(
        ("parts", "message"),
        [([], "no parts"), ([(float("nan"), brightness)], "weight nan"), ([(1, 2)], "a callable")],
    )
    def test_bad_parts(self, parts, message):
        with pytest.raises(ValueError, match=message):
            WeightedSum(parts)


def test_a_plain_function_is_a_loss(images):
    assert as_loss(brightness).seeded([0]).function is brightness
    assert list(as_loss(brightness).terms(images)) == ["brightness"]
