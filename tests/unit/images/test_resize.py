"""The one antialiased resize, whole and in bands, and masks fitted like their images."""

from __future__ import annotations

import pytest
import torch

from tokenopt_core.images.fit import fit_images, fit_masks
from tokenopt_core.images.resize import resize, resize_bands


@pytest.fixture
def images():
    return torch.rand(2, 3, 90, 70, generator=torch.Generator().manual_seed(0)).round()


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [(30, 40), (128, 96)])
def test_pixels_stay_in_range_and_their_mean_stays(images, mode, size):
    resized = resize(images, size, mode)
    assert resized.shape == (2, 3, *size)
    assert resized.min() >= 0
    assert resized.max() <= 1
    assert resized.mean() == pytest.approx(images.mean().item(), abs=0.02)


def test_images_of_the_wanted_size_are_the_same_tensor(images):
    assert resize(images, (90, 70)) is images


@pytest.mark.parametrize("rows", [1, 13, 90])
def test_bands_give_what_the_whole_image_gives(images, rows):
    bands = resize_bands(images.split(rows, dim=2), (32, 32))
    assert torch.allclose(bands, resize(images, (32, 32)), atol=1e-5)


@pytest.mark.parametrize("size", [(90, 70), (32, 50), (64, 64)])
def test_a_mask_shows_what_its_image_shows(size):
    masks = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(1))
    image = fit_images(masks.expand(-1, 3, -1, -1), 32)
    assert torch.allclose(fit_masks(masks, 32), image[:, :1], atol=1e-6)


def test_a_mask_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="outside"):
        fit_masks(torch.full((1, 1, 8, 8), 2.0), 4)
