"""The pieces under the loop: range, average and optimizer, each against its definition."""

from __future__ import annotations

import pytest
import torch

from tokenopt_core.adam import Adam
from tokenopt_core.ema import Ema
from tokenopt_core.gradients import clamp_images, require_normal_weights
from tokenopt_core.randomness import generators, image_seeds, normal


class TestRange:
    def test_inside_nothing_happens(self):
        images = torch.rand(1, 3, 4, 4).requires_grad_()
        assert torch.equal(clamp_images(images), images)
        (gradient,) = torch.autograd.grad(clamp_images(images).sum(), images)
        assert torch.equal(gradient, torch.ones_like(images))

    @pytest.mark.parametrize(
        ("value", "direction", "expected"),
        [(1.5, -1.0, 0.0), (1.5, 1.0, 1.0), (-0.5, 1.0, 0.0), (-0.5, -1.0, -1.0)],
    )
    def test_outside_only_the_way_back_is_open(self, value, direction, expected):
        """A descent step is minus the gradient: above 1 it may only be negative."""
        pixel = torch.tensor([value], requires_grad=True)
        (gradient,) = torch.autograd.grad((direction * clamp_images(pixel)).sum(), pixel)
        assert gradient.item() == expected

    def test_a_pixel_comes_back(self):
        pixel = torch.tensor([3.0])
        for _ in range(30):
            pixel.requires_grad_()
            (gradient,) = torch.autograd.grad((clamp_images(pixel) - 0.5).square().sum(), pixel)
            pixel = (pixel - 0.3 * gradient).detach()
        assert pixel.item() == pytest.approx(0.5, abs=1e-3)


class TestAdam:
    def test_is_torchs_adam(self):
        source = torch.Generator().manual_seed(0)
        value = torch.randn(2, 3, generator=source)
        reference = value.clone().requires_grad_()
        official, ours = torch.optim.Adam([reference], lr=0.1), Adam(0.1)
        for _ in range(50):
            gradient = torch.randn(2, 3, generator=source)
            reference.grad = gradient.clone()
            official.step()
            value = ours.step(value, gradient)
        torch.testing.assert_close(value, reference.detach())

    def test_a_step_makes_a_new_tensor(self):
        value = torch.zeros(2)
        assert Adam(0.1).step(value, torch.ones(2)) is not value
        assert not value.any()

    def test_after_a_reset_it_is_new(self):
        adam, gradients = Adam(0.1), torch.tensor([[1.0], [-3.0]])
        first = adam.step(torch.zeros(1), gradients[0])
        adam.step(first, gradients[1])
        adam.reset()
        assert torch.equal(adam.step(torch.zeros(1), gradients[0]), first)


class TestEma:
    def test_the_first_value_is_the_average(self):
        for corrected in (True, False):
            average = Ema(0.98, bias_corrected=corrected).update(torch.tensor([3.0]))
            assert average.item() == 3.0

    def test_the_published_rule_clings_to_the_first_value(self):
        """Its weight after 20 steps is 0.98 to the 19th, without the bias correction."""
        plain, corrected = Ema(0.98, bias_corrected=False), Ema(0.98)
        for index in range(20):
            value = torch.tensor([1.0 if index == 0 else 0.0])
            share = [average.update(value).item() for average in (plain, corrected)]
        assert share[0] == pytest.approx(0.98**19)
        assert share[1] == pytest.approx(0.98**19 * 0.02 / (1 - 0.98**20))

    def test_changing_what_it_returned_changes_nothing(self):
        ema = Ema(0.5)
        ema.update(torch.ones(1)).zero_()
        assert ema.update(torch.ones(1)).item() == 1.0


class TestSeeds:
    def test_one_generator_per_image(self, untouched_rng):
        together = normal(generators([1, 2, 3]), (4, 5))
        assert together.shape == (3, 4, 5)
        assert torch.equal(together[1], normal(generators([2]), (4, 5))[0])

    def test_streams_of_a_seed_are_independent(self):
        first, second = (normal(generators([1], stream), (1000,))[0] for stream in (0, 1))
        assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 0.1

    def test_all_bits_of_a_seed_count(self):
        sources = generators([5, 5 + 2**32, 5 + 2**63, 6])
        assert len({tuple(row.tolist()) for row in normal(sources, (4,))}) == 4

    def test_neighbouring_seeds_are_independent(self):
        first, second = normal(generators([1, 2]), (1000,))
        assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 0.1

    def test_seeds_wrap_around(self):
        assert image_seeds(2**64 - 1, 2) == [2**64 - 1, 0]
        assert image_seeds(-1, 1) == [2**64 - 1]


def test_only_modules_have_weights_to_look_at():
    require_normal_weights(lambda images: images, "loss")
