"""The search for the code that changes an image most, against trying all of them by hand."""

from __future__ import annotations

import pytest
import torch

from tokenopt_core.losses.masked import MaskedL1Loss
from tokenopt_core.losses.pixels import TotalVariationLoss
from tokenopt_core.study.perturb import SearchConfig, perturb_search

POSITIONS = [0, 4]


@pytest.fixture(scope="module")
def codes(tokenizer):
    return torch.randint(64, (2, 6), generator=torch.Generator().manual_seed(5))


def decoded(tokenizer, codes):
    """(m, 3, s, s) in [0, 1]."""
    with torch.no_grad():
        return torch.cat([tokenizer.decode(tokenizer.lookup(row[None])) for row in codes]).clamp(
            0, 1
        )


def every_edit(tokenizer, codes, position):
    """All codes but the present one, and their images, one at a time."""
    others = [code for code in range(64) if code != codes[position]]
    rows = codes.repeat(len(others), 1)
    rows[:, position] = torch.tensor(others)
    return torch.tensor(others), decoded(tokenizer, rows)


def search(tokenizer, codes, positions=POSITIONS, *, loss=None, mask=None, **settings):
    config = SearchConfig(**{"top_k": 5} | settings)
    return list(perturb_search(tokenizer, codes, positions, config, loss=loss, mask=mask))


def test_exact_is_what_trying_every_code_gives(tokenizer, codes):
    found = search(tokenizer, codes, batch=7)
    assert [(f.image, f.position) for f in found] == [(0, 0), (0, 4), (1, 0), (1, 4)]
    for f in found:
        others, images = every_edit(tokenizer, codes[f.image], f.position)
        before = decoded(tokenizer, codes[f.image : f.image + 1])
        assert torch.equal(f.original[None], before)
        l1 = (images - before).abs().mean((1, 2, 3))
        values, order = l1.sort(descending=True)
        assert f.codes.tolist() == others[order[:5]].tolist()
        assert torch.allclose(f.losses, values[:5], atol=1e-6)
        assert torch.allclose(f.images, images[order[:5]], atol=1e-5)
        assert (f.old_code, f.compared, f.before) == (codes[f.image, f.position], 63, 0.0)


def test_minimize_finds_the_least_visible_change(tokenizer, codes):
    (found,) = search(tokenizer, codes[:1], [2], maximize=False)
    others, images = every_edit(tokenizer, codes[0], 2)
    l1 = (images - decoded(tokenizer, codes[:1])).abs().mean((1, 2, 3))
    assert found.codes.tolist() == others[l1.argsort()[:5]].tolist()


def test_only_the_masked_region_counts(tokenizer, codes):
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 5:20, 20:] = 1
    mask[..., 0, 0] = 0.5
    (found,) = search(tokenizer, codes[:1], [3], mask=mask)
    others, images = every_edit(tokenizer, codes[0], 3)
    change = (images - decoded(tokenizer, codes[:1])).abs().mean(1, keepdim=True) * mask
    l1 = change.sum((1, 2, 3)) / mask.sum()
    values, order = l1.sort(descending=True)
    assert found.codes.tolist() == others[order[:5]].tolist()
    assert torch.allclose(found.losses, values[:5], atol=1e-6)


@pytest.mark.parametrize("maximize", [True, False])
def test_another_loss_both_ways(tokenizer, codes, maximize):
    loss = TotalVariationLoss()
    (found,) = search(tokenizer, codes[:1], [1], loss=loss, maximize=maximize)
    others, images = every_edit(tokenizer, codes[0], 1)
    order = loss(images).argsort(descending=maximize)
    assert found.codes.tolist() == others[order[:5]].tolist()
    assert found.before == pytest.approx(loss(decoded(tokenizer, codes[:1])).item(), abs=1e-6)


def test_with_a_mask_another_loss_sees_the_original_outside(tokenizer, codes):
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 1
    (found,) = search(tokenizer, codes[:1], [1], loss=TotalVariationLoss(), mask=mask)
    others, images = every_edit(tokenizer, codes[0], 1)
    seen = torch.where(mask > 0, images, decoded(tokenizer, codes[:1]))
    order = TotalVariationLoss()(seen).argsort(descending=True)
    assert found.codes.tolist() == others[order[:5]].tolist()


def test_each_image_can_have_a_loss_of_its_own(tokenizer, codes, images):
    none = torch.zeros(1, 1, 32, 32)
    losses = [MaskedL1Loss(image[None], none) for image in images[:2]]
    both = search(tokenizer, codes, [1], loss=losses, maximize=False)
    for i in (0, 1):
        (alone,) = search(tokenizer, codes[i : i + 1], [1], loss=losses[i], maximize=False)
        assert both[i].codes.tolist() == alone.codes.tolist()


def test_of_equal_losses_the_lower_codes_win(tokenizer, codes):
    def flat(images):
        return torch.ones(len(images))

    (found,) = search(tokenizer, codes[:1], [0], loss=flat, batch=9)
    expected = [code for code in range(64) if code != codes[0, 0]][:5]
    assert found.codes.tolist() == expected


def test_what_is_no_number_is_never_a_result(tokenizer, codes):
    others, images = every_edit(tokenizer, codes[0], 0)
    means = images.mean((1, 2, 3)).sort().values
    middle = means[30:32].mean()

    def half_broken(images):
        means = images.mean((1, 2, 3))
        return torch.where(means > middle, torch.nan, means)

    for method, least in (("exact", 31), ("guided", 20)):
        (found,) = search(
            tokenizer, codes[:1], [0], loss=half_broken, top_k=50, method=method, share=0.9
        )
        assert found.losses.isfinite().all()
        assert least <= len(found.codes) <= 31
    with pytest.raises(ValueError, match="no finite number"):
        search(tokenizer, codes[:1], [0], loss=lambda images: images.mean((1, 2, 3)) * torch.nan)


def test_more_results_than_codes_are_all_others(tokenizer, codes):
    (found,) = search(tokenizer, codes[:1], [0], top_k=1000)
    assert sorted([*found.codes.tolist(), found.old_code]) == list(range(64))


def test_a_share_is_decoded_and_the_whole_share_is_exact(tokenizer, codes):
    exact = search(tokenizer, codes, top_k=1)
    whole = search(tokenizer, codes, top_k=1, method="guided", share=1.0)
    assert [f.codes.tolist() for f in whole] == [f.codes.tolist() for f in exact]
    short = search(tokenizer, codes, top_k=1, method="guided", share=0.25)
    for full, part in zip(exact, short, strict=True):
        assert part.compared == 16
        assert part.losses[0] <= full.losses[0] + 1e-6
        assert part.losses[0] >= 0.8 * full.losses[0]  # measured: the best itself in most cases


def test_the_former_method_gradient_is_guided(tokenizer, codes):
    assert SearchConfig(method="gradient") == SearchConfig(method="guided")
    old = search(tokenizer, codes, method="gradient", share=0.3)
    new = search(tokenizer, codes, method="guided", share=0.3)
    for a, b in zip(old, new, strict=True):
        assert a.codes.tolist() == b.codes.tolist()
        assert a.compared == b.compared == 19


def test_bfloat16_ends_with_the_ranking_of_float32(tokenizer, codes):
    exact = search(tokenizer, codes, top_k=3)
    low = search(tokenizer, codes, top_k=3, dtype=torch.bfloat16)
    for a, b in zip(exact, low, strict=True):
        assert a.codes.tolist() == b.codes.tolist()
        assert torch.allclose(a.images, b.images, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "best"}, "exact, guided"),
        ({"share": 0.0}, "share is 0"),
        ({"share": float("nan")}, "share is nan"),
        ({"top_k": 0}, "top_k is 0"),
        ({"batch": 0}, "batch 0"),
    ],
)
def test_settings_that_mean_nothing(changes, words):
    with pytest.raises(ValueError, match=words):
        SearchConfig(**changes)


def test_inputs_that_do_not_fit(tokenizer, vae, codes):
    with pytest.raises(ValueError, match="VAE"):
        perturb_search(vae, codes, [0])
    with pytest.raises(ValueError, match="from 0 to 5"):
        perturb_search(tokenizer, codes, [6])
    with pytest.raises(ValueError, match="0 to 63"):
        perturb_search(tokenizer, codes + 64, [0])
    with pytest.raises(ValueError, match="0 everywhere"):
        perturb_search(tokenizer, codes, [0], mask=torch.zeros(1, 1, 32, 32))
    with pytest.raises(ValueError, match="one number per image"):
        search(tokenizer, codes, loss=lambda images: images.mean())
