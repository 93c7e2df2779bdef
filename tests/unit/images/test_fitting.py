"""Any picture into a square and back: nothing is lost, moved or invented on the way."""

from __future__ import annotations

import itertools
import random

import pytest
import torch

from tokenopt_core.images.fit import (
    FILLS,
    MODES,
    Box,
    Fit,
    bounding_box,
    fit_around,
    fit_images,
    fit_whole,
)
from tokenopt_core.images.paste import into_square, mask_into_square, paste

SIZES = [(1, 1), (17, 1500), (40, 24), (64, 64), (65, 97), (300, 200)]


def pictures(height, width, count=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, height, width, generator=generator)


def mask_of(picture, box):
    mask = torch.zeros(1, 1, *picture)
    box.of(mask).fill_(1)
    return mask


@pytest.mark.parametrize(("picture", "mode"), [*itertools.product(SIZES, MODES)])
def test_every_picture_becomes_a_square_and_comes_back_in_its_size(picture, mode):
    images = pictures(*picture)
    for position, fill in itertools.product((0.0, 0.5, 1.0), FILLS):
        fit = fit_whole(picture, 32, mode, position, fill)
        square = into_square(images, fit)
        assert square.shape == (1, 3, 32, 32)
        assert ((square >= 0) & (square <= 1)).all()
        back = paste(square, fit, images)
        box = fit.places[0].image
        back_outside, images_outside = back.clone(), images.clone()
        box.of(back_outside).zero_()
        box.of(images_outside).zero_()
        assert torch.equal(back_outside, images_outside)


def test_the_crop_is_what_the_tokenizers_do_themselves():
    for picture in SIZES:
        images = pictures(*picture)
        assert torch.equal(into_square(images, fit_whole(picture, 32)), fit_images(images, 32))


def test_without_a_change_of_scale_the_way_there_and_back_is_exact():
    chance = random.Random(0)
    for seed in range(60):
        size = chance.randint(2, 40)
        picture = chance.randint(size, 90), chance.randint(size, 90)
        images = pictures(*picture, seed=seed)
        top, left = chance.randrange(picture[0]), chance.randrange(picture[1])
        point = mask_of(picture, Box(top, left, 1, 1))
        fit = fit_around(point, size, chance.choice(MODES), 0.0)
        place = fit.places[0]
        assert place.image[2:] == place.square[2:] == (size, size)
        square = into_square(images, fit)
        assert torch.equal(square, place.image.of(images))
        changed = paste(1 - square, fit, images)
        assert torch.equal(place.image.of(changed), 1 - square)
        assert torch.equal(paste(square, fit, images, soft=0.3), images)


def test_the_square_is_around_the_mask_and_inside_the_picture():
    chance = random.Random(1)
    for _ in range(200):
        picture = chance.randint(1, 200), chance.randint(1, 200)
        inner = [sorted(chance.randrange(side) for _ in range(2)) for side in picture]
        (top, bottom), (left, right) = inner
        white = Box(top, left, bottom - top + 1, right - left + 1)
        mask = mask_of(picture, white)
        assert bounding_box(mask[0]) == white
        margin, mode = chance.choice([0.0, 0.5, 2.0]), chance.choice(MODES)
        place = fit_around(mask, 16, mode, margin).places[0]
        box, square = place
        assert box.top >= 0
        assert box.left >= 0
        assert box.top + box.height <= picture[0]
        assert box.left + box.width <= picture[1]
        assert square.height <= 16
        assert square.width <= 16
        longest = max(white[2:])
        if mode != "crop" or longest <= min(picture):  # all of the white part is there
            assert box.of(mask).sum() == mask.sum()
        roomy = longest * (1 + 2 * margin) + 1 < min(picture) and min(picture) >= 16
        if roomy:
            assert box.height == box.width >= max(16, longest * (1 + 2 * margin) - 1)


def test_padding_keeps_proportions_and_fills_as_asked():
    images = pictures(20, 60)
    fit = fit_whole((20, 60), 30, "pad", 0.5, "grey")
    square = into_square(images, fit)
    assert fit.places[0].square == Box(10, 0, 10, 30)
    assert (square[:, :, :10] == 0.5).all()
    assert (square[:, :, 20:] == 0.5).all()
    edge = into_square(images, fit_whole((20, 60), 30, "pad", 0.0))
    assert torch.equal(edge[:, :, 10:], edge[:, :, 9:10].expand(-1, -1, 20, -1))
    known = mask_into_square(torch.ones(1, 1, 20, 60), fit)
    assert known[..., 10:20, :].min() == 1
    assert known.sum() == 300


def test_only_what_the_mask_and_its_soft_edge_cover_is_touched():
    images, picture = pictures(120, 200), (120, 200)
    mask = mask_of(picture, Box(50, 90, 20, 20))
    fit = fit_around(mask, 32, margin=1.0)
    assert fit.places[0].image == Box(30, 70, 60, 60)
    back = paste(torch.zeros(1, 3, 32, 32), fit, images, mask, soft=0.1)
    changed = (back != images).any(1)[0]
    assert (back[..., 50:70, 90:110] == 0).all()
    assert changed.sum() > 400
    assert not changed[:44].any()
    assert not changed[76:].any()
    assert not changed[:, :84].any()
    assert not changed[:, 116:].any()
    hard = paste(torch.zeros(1, 3, 32, 32), fit, images, mask)
    assert torch.equal((hard != images).any(1, keepdim=True), mask.bool())


def test_nearly_black_is_black_and_a_soft_mask_stays_soft():
    images, picture = pictures(120, 200), (120, 200)
    clean = mask_of(picture, Box(50, 90, 20, 20))
    clean[..., 48:50, 90:110] = 0.3  # a soft rim
    noise = 0.045 * torch.rand(1, 1, *picture, generator=torch.Generator().manual_seed(0))
    dirty = torch.maximum(clean, noise)
    fit = fit_around(dirty, 32, margin=1.0)
    assert fit == fit_around(clean, 32, margin=1.0)
    assert torch.equal(mask_into_square(dirty, fit), mask_into_square(clean, fit))
    black = torch.zeros(1, 3, 32, 32)
    back = paste(black, fit, images, dirty)
    assert torch.equal(back, paste(black, fit, images, clean))
    assert torch.equal((back != images).any(1, keepdim=True), clean > 0)
    rim = (..., slice(48, 50), slice(90, 110))
    torch.testing.assert_close(back[rim], 0.7 * images[rim])


def test_a_mask_that_is_faint_everywhere_is_still_a_mask():
    faint = 0.03 * mask_of((120, 200), Box(50, 90, 20, 20))
    assert bounding_box(faint[0]) == Box(50, 90, 20, 20)
    assert bounding_box(torch.full((1, 9, 7), 0.02)) == Box(0, 0, 9, 7)
    assert bounding_box(torch.full((1, 9, 7), 0.001)) is None


def test_white_is_replaced_completely_however_near_the_square_ends():
    images, picture = pictures(60, 90), (60, 90)
    mask = mask_of(picture, Box(20, 30, 20, 20))
    for margin in (0.0, 0.02, 0.1):
        fit = fit_around(mask, 8, margin=margin)
        back = paste(torch.zeros(1, 3, 8, 8), fit, images, mask, soft=0.2)
        assert (back[..., 20:40, 30:50] == 0).all()
    wide = mask_of(picture, Box(20, 0, 20, 90))  # the square shows a part of it, and fades there
    back = paste(torch.zeros(1, 3, 8, 8), fit_around(wide, 8), images * 0 + 1, wide, soft=0.1)
    row = back[0, 0, 30]
    assert (row[:15] == 1).all()
    assert 0 < row[16] < row[15] < 1
    assert (row[21:69] == 0).all()
    assert (back[0, 0, 20] == row).all()


def test_a_square_fades_where_the_picture_goes_on_and_only_there():
    images = torch.ones(1, 3, 40, 100)
    back = paste(torch.zeros(1, 3, 16, 16), fit_whole((40, 100), 16), images, soft=0.1)
    row = back[0, 0, 20]
    assert torch.equal(back, row.expand(1, 3, 40, 100))  # no fading at the top and bottom
    assert (row[:30] == 1).all()
    assert 0 < row[31] < row[30] < 1
    assert (row[34:66] == 0).all()
    torch.testing.assert_close(row, row.flip(0))


def test_a_wide_soft_edge_of_a_large_picture_is_quick_and_covers_a_thin_stroke():
    mask = mask_of((900, 900), Box(450, 100, 1, 700))
    images = torch.ones(1, 3, 900, 900)
    fit = fit_whole((900, 900), 32)
    back = paste(torch.zeros(1, 3, 32, 32), fit, images, mask, soft=0.2)
    column = back[0, 0, :, 450]
    assert column[450] == 0
    assert (column[430:470] < 0.2).all()
    assert 0.2 < column[350] < 0.9
    assert (column[:250] == 1).all()  # 450 less a rim of 180, and the small mask's pixel


def test_enlarged_squares_come_back_at_the_same_place():
    images = torch.zeros(1, 3, 60, 100)
    fit = fit_whole((60, 100), 16, "pad")
    square = into_square(images, fit)
    square[..., 8:, :] = 1
    large = square.repeat_interleave(4, 2).repeat_interleave(4, 3)
    small, enlarged = paste(square, fit, images), paste(large, fit, images)
    assert (small - enlarged).abs().mean() < 0.03
    assert enlarged[..., :25, :].max() < 0.05
    assert enlarged[..., 35:, :].min() > 0.95


def test_one_picture_for_many_squares_and_one_square_for_many_pictures():
    one, three = pictures(20, 30), pictures(20, 30, 3)
    fit = fit_whole((20, 30), 8)
    assert paste(pictures(8, 8, 3), fit, one).shape == (3, 3, 20, 30)
    assert paste(pictures(8, 8, 1), fit, three).shape == (3, 3, 20, 30)
    masks = torch.cat([mask_of((20, 30), Box(0, 10 * k, 4, 4)) for k in range(3)])
    around = fit_around(masks, 4, margin=0.0)
    squares = into_square(one, around)
    assert torch.equal(squares, torch.cat([one[..., :4, 10 * k : 10 * k + 4] for k in range(3)]))
    back = paste(1 - squares, around, one, masks)
    assert torch.equal((back != one).any(1, keepdim=True), masks.bool())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_whole((4, 4), 0), "one pixel at least"),
        (lambda: fit_whole((4, 4), 2, "zoom"), "mode is 'zoom'"),
        (lambda: fit_whole((4, 4), 2, "pad", 0.5, "red"), "fill is 'red'"),
        (lambda: fit_whole((4, 4), 2, "crop", 1.5), "position is 1.5"),
        (lambda: fit_around(torch.zeros(1, 1, 4, 4), 2), "mask 0 is 0 everywhere"),
        (lambda: fit_around(torch.ones(1, 1, 4, 4), 2, margin=-1), "margin is -1"),
        (lambda: into_square(pictures(4, 5), fit_whole((4, 4), 2)), r"expected \(b, c, 4, 4\)"),
        (lambda: paste(pictures(2, 2), fit_whole((4, 4), 2), pictures(4, 4), soft=2), "soft is 2"),
        (
            lambda: paste(pictures(2, 2, 2), fit_whole((4, 4), 2), pictures(4, 4, 3)),
            "squares are 2 and results 3",
        ),
    ],
)
def test_what_cannot_be_fitted(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_fit_is_a_value():
    assert fit_whole((4, 6), 2) == fit_whole((4, 6), 2)
    assert isinstance(fit_whole((4, 6), 2), Fit)
