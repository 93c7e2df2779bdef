"""Crops as matrices give what slicing, flipping and torch's own resizing give."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tokenopt_core.compute.seeds import generators
from tokenopt_core.images.crops import crop_side, draw_crops, squash, take_crops


def random_images(b, h, w, dtype=torch.float32):
    return torch.rand(b, 3, h, w, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_a_crop_that_fits_is_exactly_a_slice():
    images = random_images(2, 20, 26)
    drawn = draw_crops(generators([5, 6]), 7, 20 - 16 + 1, 26 - 16 + 1, flip=True)
    views = take_crops(images, drawn, (16, 16), 16)
    assert views.shape == (2, 7, 3, 16, 16)
    for image, boxes, crops in zip(images, drawn.tolist(), views, strict=True):
        for (top, left, mirrored), view in zip(boxes, crops, strict=True):
            expected = image[:, top : top + 16, left : left + 16]
            assert torch.equal(view, expected.flip(-1) if mirrored else expected)


@pytest.mark.parametrize("size", [5, 12, 16, 31])
def test_a_resized_crop_is_a_slice_resized_with_antialiasing(size):
    images = random_images(1, 24, 24)
    drawn = torch.tensor([[[0, 0, 0], [3, 5, 1], [8, 8, 0]]])
    views = take_crops(images, drawn, (16, 16), size)[0]
    for (top, left, mirrored), view in zip(drawn[0].tolist(), views, strict=True):
        crop = images[:, :, top : top + 16, left : left + 16]
        expected = F.interpolate(crop, (size, size), mode="bilinear", antialias=True)[0]
        torch.testing.assert_close(view, expected.flip(-1) if mirrored else expected)


@pytest.mark.parametrize(("h", "w"), [(16, 16), (9, 40), (64, 30)])
def test_the_whole_image_is_resized_whatever_its_shape(h, w):
    images = random_images(2, h, w)
    expected = F.interpolate(images, (16, 16), mode="bilinear", antialias=True)
    torch.testing.assert_close(squash(images, 16), expected)


def test_gradients_are_those_of_slicing():
    images = random_images(2, 20, 20).requires_grad_()
    drawn = draw_crops(generators([1, 2]), 4, 7, 7, flip=True)
    weight = torch.rand(2, 4, 3, 14, 14, generator=torch.Generator().manual_seed(4))
    (gradient,) = torch.autograd.grad(
        (take_crops(images, drawn, (14, 14), 14) * weight).sum(), images
    )
    expected = torch.zeros_like(images)
    for i, boxes in enumerate(drawn.tolist()):
        for n, (top, left, mirrored) in enumerate(boxes):
            part = weight[i, n].flip(-1) if mirrored else weight[i, n]
            expected[i, :, top : top + 14, left : left + 14] += part
    torch.testing.assert_close(gradient, expected)


def test_draws_belong_to_the_seed_and_not_to_the_batch(untouched_rng):
    together = draw_crops(generators([7, 8, 9]), 5, 11, 13, flip=True)
    alone = draw_crops(generators([8]), 5, 11, 13, flip=True)
    assert torch.equal(together[1:2], alone)
    assert not torch.equal(together[0], together[1])


def test_draws_change_from_call_to_call_and_repeat_with_the_seed():
    sources = generators([3])
    first, second = (draw_crops(sources, 8, 20, 20, flip=True) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first, draw_crops(generators([3]), 8, 20, 20, flip=True))


def test_draws_reach_every_offset_and_nothing_else():
    drawn = draw_crops(generators([0]), 2000, 5, 3, flip=True)[0]
    assert [set(column.tolist()) for column in drawn.unbind(1)] == [
        set(range(5)),
        {0, 1, 2},
        {0, 1},
    ]
    assert not draw_crops(generators([0]), 100, 1, 1, flip=False).any()


def test_a_crop_covers_the_wanted_share():
    assert crop_side(256, 256, 0.765625) == 224  # the paper's crops
    assert crop_side(64, 100, 0.765625) == 56
    assert crop_side(256, 256, 1.0) == 256
    assert crop_side(4, 4, 0.001) == 1


def test_a_crop_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match="crop of 20 pixels does not fit into an image side of 16"):
        take_crops(random_images(1, 16, 16), torch.zeros(1, 1, 3, dtype=torch.int64), (20, 20), 8)


def test_tables_made_under_inference_mode_serve_gradients_later():
    drawn = torch.zeros(1, 1, 3, dtype=torch.int64)
    with torch.inference_mode():
        take_crops(random_images(1, 19, 19), drawn, (13, 13), 11)
    images = random_images(1, 19, 19).requires_grad_()
    take_crops(images, drawn, (13, 13), 11).sum().backward()
    assert images.grad.abs().sum() > 0


def test_half_precision_images_are_accepted():
    drawn = torch.zeros(1, 1, 3, dtype=torch.int64)
    views = take_crops(random_images(1, 16, 16).half(), drawn, (8, 8), 8)
    assert views.dtype == torch.float32


def test_crops_are_exact_also_where_models_run_in_half_precision():
    images = random_images(1, 20, 20)
    drawn = torch.tensor([[[2, 3, 0]]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        view = take_crops(images, drawn, (16, 16), 16)[0, 0]
    assert torch.equal(view, images[0, :, 2:18, 3:19])
