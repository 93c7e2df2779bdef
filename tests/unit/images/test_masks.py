"""Masks: the soft rim lies outside the hole, and what is no mask is refused."""

from __future__ import annotations

import math

import pytest
import torch

from tokenopt_core.images.masks import feather


def hole(size=21, start=8, stop=13):
    mask = torch.zeros(1, 1, size, size)
    mask[..., start:stop, start:stop] = 1
    return mask


def test_radius_0_changes_nothing():
    mask = torch.rand(2, 1, 5, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(feather(mask, 0), mask)


def test_the_rim_lies_outside_and_falls_with_the_distance():
    soft = feather(hole(), 6)
    assert torch.equal(soft[hole() == 1], torch.ones(25))
    rim = soft[0, 0, 10, 12:]  # from the hole's last pixel to the right
    expected = [math.exp(-4.5 * (d / 6) ** 2) if d <= 6 else 0.0 for d in range(9)]
    torch.testing.assert_close(rim, torch.tensor(expected))


def test_the_rim_is_round():
    point = hole(21, 10, 11)
    soft = feather(point, 9)[0, 0]
    torch.testing.assert_close(soft[10 + 3, 10 + 4], soft[10, 10 + 5])


def test_a_thin_stroke_and_a_soft_mask_are_not_lost():
    assert feather(hole(21, 10, 11), 8).amax() == 1
    assert feather(0.5 * hole(), 8).amax() == 0.5


def test_every_mask_for_itself_up_to_the_border_and_beyond():
    masks = torch.cat([hole(), torch.zeros(1, 1, 21, 21), torch.ones(1, 1, 21, 21)])
    soft = feather(masks, 50)
    torch.testing.assert_close(soft[:1], feather(hole(), 50))
    assert soft[0].amin() > 0
    assert not soft[1].any()
    assert (soft[2] == 1).all()


def test_the_given_mask_stays_as_it_is():
    mask = hole()
    feather(mask, 3)
    assert torch.equal(mask, hole())


@pytest.mark.parametrize("radius", [-1, 1.5, None, float("nan")])
def test_a_radius_that_is_none(radius):
    with pytest.raises(ValueError, match=r"radius is .*: expected a number of pixels"):
        feather(hole(), radius)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.zeros(4, 4), "mask has shape"),
        (torch.zeros(1, 3, 4, 4), "mask has shape"),
        (torch.zeros(1, 1, 0, 4), "mask has shape"),
        (torch.full((1, 1, 4, 4), 1.5), "outside"),
        (torch.full((1, 1, 4, 4), float("nan")), "outside"),
    ],
)
def test_what_is_no_mask(mask, message):
    with pytest.raises(ValueError, match=message):
        feather(mask, 2)
