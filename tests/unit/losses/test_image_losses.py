"""Pixel losses, and the loss that looks through a mask."""

from __future__ import annotations

import pytest
import torch

from tokenopt_core import (
    ClipLoss,
    MaskedComposite,
    MaskedL1Loss,
    MaskedL2Loss,
    OptimizeConfig,
    RangeLoss,
    TotalVariationLoss,
    WeightedSum,
    optimize,
)


@pytest.fixture
def left_half():
    """A mask whose left half may change."""
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 1
    return mask


def gradient_of(loss, images):
    variable = images.clone().requires_grad_()
    return torch.autograd.grad(loss(variable).sum(), variable)[0]


class TestTotalVariation:
    def test_counts_the_steps_between_neighbours(self):
        images = torch.zeros(2, 3, 4, 4)
        images[1, :, :, 2:] = 0.6  # one edge among three columns of differences
        torch.testing.assert_close(TotalVariationLoss()(images), torch.tensor([0.0, 0.2]))

    def test_descent_smooths(self, images):
        loss = TotalVariationLoss()
        after = images - 20 * gradient_of(loss, images)
        assert (loss(after) < loss(images)).all()

    def test_needs_neighbours(self):
        with pytest.raises(ValueError, match="expected 2 x 2 pixels or more"):
            TotalVariationLoss()(torch.zeros(1, 3, 1, 8))


class TestRange:
    def test_is_the_mean_excess(self):
        images = torch.tensor([-0.5, 0.0, 1.0, 1.25]).expand(1, 3, 1, 4)
        torch.testing.assert_close(RangeLoss()(images), torch.tensor([0.75 / 4]))

    def test_images_in_range_have_neither_loss_nor_gradient(self, images):
        assert not RangeLoss()(images).any()
        assert not gradient_of(RangeLoss(), images).any()

    def test_it_keeps_pixels_from_pleasing_a_guide_with_impossible_colours(self, guide, images):
        def excess(weight):
            loss = WeightedSum([(1.0, ClipLoss(guide, "a red circle")), (weight, RangeLoss())])
            pixels = images
            for _ in range(20):
                gradient = gradient_of(loss, pixels)
                pixels = pixels - 2 * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            return RangeLoss()(pixels)

        assert (excess(30.0) < 0.3 * excess(0.0)).all()

    def test_it_sees_what_the_loop_leaves_unclamped(self, tokenizer, features):
        def seen(clamp):
            config = OptimizeConfig(steps=1, clamp=clamp)
            (step,) = optimize(tokenizer, RangeLoss(), features, config)
            return step.terms["range"]

        assert (seen(clamp=False) > 0).all()
        assert not seen(clamp=True).any()


class TestMaskedL2:
    def test_is_the_mean_square_over_the_known_pixels(self, images, left_half):
        target = images.flip(0)
        expected = (images - target).square()[..., 16:].mean((1, 2, 3))
        torch.testing.assert_close(MaskedL2Loss(target, left_half)(images), expected)

    def test_pixels_that_may_change_have_no_gradient(self, images, left_half):
        gradient = gradient_of(MaskedL2Loss(torch.zeros(1, 3, 32, 32), left_half), images)
        assert not gradient[..., :16].any()
        assert gradient[..., 16:].all()

    def test_has_a_curve_and_a_composite_of_its_own(self, images, left_half):
        target = images.flip(0)
        one, two = MaskedL1Loss(target, left_half), MaskedL2Loss(target, left_half, "known")
        terms = WeightedSum([(1.0, one), (1.0, two)]).terms(images)
        assert list(terms) == ["l1", "known"]
        assert torch.equal(one.composite(images), two.composite(images))

    def test_a_mask_that_leaves_nothing_to_compare(self):
        """An error for a whole batch; one image of it does not depend on the others."""
        masks = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])
        images = torch.full((2, 3, 4, 4), 0.5, requires_grad=True)
        losses = MaskedL2Loss(torch.zeros(1, 3, 4, 4), masks)(images)
        (gradient,) = torch.autograd.grad(losses.sum(), images)
        assert losses.tolist() == [0.25, 0]
        assert gradient[0].all()
        assert not gradient[1].any()
        with pytest.raises(ValueError, match="lets every pixel change"):
            MaskedL2Loss(torch.zeros(1, 3, 4, 4), masks[1:])


class TestMaskedComposite:
    def test_the_inner_loss_sees_the_original_outside(self, images, left_half):
        seen = []

        def watch(given):
            seen.append(given)
            return given.mean((1, 2, 3))

        MaskedComposite(watch, images.flip(0), left_half)(images)
        assert torch.equal(seen[0][..., :16], images[..., :16])
        assert torch.equal(seen[0][..., 16:], images.flip(0)[..., 16:])

    def test_the_gradient_is_zero_outside_the_mask(self, guide, images, left_half):
        loss = MaskedComposite(ClipLoss(guide, "a red circle"), images.flip(0), left_half)
        gradient = gradient_of(loss, images)
        assert not gradient[..., 16:].any()
        assert gradient[..., :16].abs().sum() > 0

    def test_a_soft_mask_lets_a_share_through(self, images):
        mask = torch.full((1, 1, 32, 32), 0.25)
        loss = MaskedComposite(lambda given: given.sum((1, 2, 3)), images, mask)
        torch.testing.assert_close(gradient_of(loss, images), torch.full_like(images, 0.25))

    def test_a_mask_of_everything_changes_nothing(self, guide, images):
        inner = ClipLoss(guide, "a red circle")
        whole = MaskedComposite(inner, images.flip(0), torch.ones(1, 1, 32, 32))
        assert torch.equal(whole(images), inner(images))

    def test_a_mask_of_nothing_is_refused(self, images):
        masks = torch.stack([torch.ones(1, 32, 32), torch.zeros(1, 32, 32)])
        with pytest.raises(ValueError, match="mask lets no pixel change"):
            MaskedComposite(TotalVariationLoss(), images[:1], masks)

    def test_passes_everything_on(self, guide, images, left_half):
        inner = ClipLoss(guide, "a red circle:1@0-0.5 | zebra:-1@0.5-1")
        loss = MaskedComposite(inner, images.flip(0), left_half)
        composite = loss.composite(images)
        assert loss.remarks() == inner.remarks() != []
        for progress in (0.0, 0.7):
            run, alone = (one.seeded([3, 4, 5]).at(progress) for one in (loss, inner))
            terms, expected = run.terms(images), alone.terms(composite)
            assert list(terms) == list(expected)
            torch.testing.assert_close(terms, expected)

    def test_a_plain_function_keeps_its_name(self, images, left_half):
        def warmth(given):
            return given[:, 0].mean((1, 2))

        assert list(MaskedComposite(warmth, images, left_half).terms(images)) == ["warmth"]

    def test_what_does_not_fit(self, images, left_half):
        loss = MaskedComposite(TotalVariationLoss(), images[:2], left_half)
        with pytest.raises(ValueError, match="the masked composite compares images"):
            loss(images)
        with pytest.raises(ValueError, match="5 as a loss: expected a callable"):
            MaskedComposite(5, images, left_half)
        with pytest.raises(ValueError, match="of the target's size, 32 x 32"):
            MaskedComposite(TotalVariationLoss(), images, left_half[..., :16])
