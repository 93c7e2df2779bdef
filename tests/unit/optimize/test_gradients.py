"""The pieces under the loop: range, average and optimizer, each against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tokenopt_core.compute.gradients import clamp_images, require_normal_weights
from tokenopt_core.compute.seeds import generators, image_seeds, normal
from tokenopt_core.optimize.adam import Average, Moments, adam_step, add_to_average


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
        value = torch.randn(2, 3, 4, generator=source)
        reference = value.clone().requires_grad_()
        official, moments = torch.optim.Adam([reference], lr=0.1), Moments.none(value)
        for _ in range(300):
            gradient = torch.randn(2, 3, 4, generator=source)
            reference.grad = gradient.clone()
            official.step()
            value, moments = adam_step(value, gradient, moments, 0.1)
        torch.testing.assert_close(value, reference.detach())

    def test_every_image_counts_its_own_steps(self):
        value, gradient = torch.zeros(2, 1, 1), torch.tensor([1.0, -3.0]).view(2, 1, 1)
        late = Moments(*(torch.cat((part[:1], part[1:])) for part in Moments.none(value)))
        _, after = adam_step(value, gradient, late, 0.1)
        mixed = Moments(*(torch.cat((a[:1], b[1:])) for a, b in zip(after, late, strict=True)))
        moved, _ = adam_step(value, gradient, mixed, 0.1)
        first, _ = adam_step(value, gradient, late, 0.1)
        assert torch.equal(moved[1], first[1])
        torch.testing.assert_close(moved[0], torch.tensor([[-0.1]]))

    def test_nothing_changes_in_place(self):
        value, gradient = torch.zeros(1, 2, 2), torch.ones(1, 2, 2)
        moments = Moments.none(value)
        for _ in range(2):
            before = [part.clone() for part in moments]
            adam_step(value, gradient, moments, 0.1)
            assert all(torch.equal(a, b) for a, b in zip(moments, before, strict=True))
            assert not value.any()
            _, moments = adam_step(value, gradient, moments, 0.1)


class TestAverage:
    @staticmethod
    def after(values, decay, corrected=True) -> float:
        average = Average.none(torch.full((1, 1, 1), -7.0))
        for value in values:
            value = torch.full((1, 1, 1), value)
            average = add_to_average(average, value, decay, bias_corrected=corrected)
        return average.value.item()

    @pytest.mark.parametrize("corrected", [True, False])
    def test_the_first_value_is_the_average(self, corrected):
        assert self.after([3.0], 0.98, corrected) == 3.0

    def test_without_decay_it_is_the_last_value(self):
        assert self.after([3.0, 5.0, 0.25], 0.0) == 0.25

    def test_the_published_rule_clings_to_the_first_value(self):
        """Its weight after 20 steps is 0.98 to the 19th, without the bias correction."""
        values = [1.0] + [0.0] * 19
        assert self.after(values, 0.98, corrected=False) == pytest.approx(0.98**19)
        expected = 0.98**19 * 0.02 / (1 - 0.98**20)
        assert self.after(values, 0.98) == pytest.approx(expected, rel=1e-5)


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
        assert image_seeds(np.uint64(2**64 - 1), 2) == [2**64 - 1, 0]
        assert image_seeds(-1, 1) == [2**64 - 1]


def test_only_modules_have_weights_to_look_at():
    require_normal_weights(lambda images: images, "loss")
