"""Copying, blending and setting tokens."""

from __future__ import annotations

import math

import pytest
import torch

from tokenopt_core.tokens.edits import (
    blend_tokens,
    copy_tokens,
    morph_strengths,
    parse_codes,
    positions_of_mask,
    set_codes,
)


@pytest.fixture
def other() -> torch.Tensor:
    return torch.randn(3, 6, 12, generator=torch.Generator().manual_seed(8))


def test_copied_tokens_and_no_others(features, other):
    before = features.clone()
    made = copy_tokens(features, other, [1, 4])
    assert torch.equal(made[:, [1, 4]], other[:, [1, 4]])
    assert torch.equal(made[:, [0, 2, 3, 5]], features[:, [0, 2, 3, 5]])
    assert torch.equal(features, before)


def test_one_serves_all_and_each_has_its_own(features, other):
    one_reference = copy_tokens(features, other[:1], [2])
    assert torch.equal(one_reference[:, 2], other[:1, 2].expand(3, -1))
    one_target = copy_tokens(features[:1], other, [2])
    assert torch.equal(one_target[:, 2], other[:, 2])
    assert torch.equal(one_target[:, 3], features[:1, 3].expand(3, -1))
    with pytest.raises(ValueError, match="reference has 2 images and target 3"):
        copy_tokens(features, other[:2], [0])
    with pytest.raises(ValueError, match="target has 6 x 12 numbers per image and reference 5 x"):
        copy_tokens(features, other[:, :5], [0])


def test_the_columns_of_a_mask_are_the_tokens(features, other):
    mask = torch.zeros(2, 20, 60)  # 10 columns for each of 6 tokens
    mask[0, :, 10:26] = 1  # token 1, and more than half of token 2
    mask[1, :15, 55:] = 1  # a small part of token 5
    mask[1, :15, :10] = 1  # three quarters of token 0
    chosen = positions_of_mask(mask, 6)
    assert [row.nonzero().flatten().tolist() for row in chosen] == [[1, 2], [0]]
    made = copy_tokens(features[:2], other[:2], chosen)
    assert torch.equal(made[0, 1:3], other[0, 1:3])
    assert torch.equal(made[1, 1:], features[1, 1:])
    with pytest.raises(ValueError, match="mask chooses positions for 2 images, but there are 3"):
        copy_tokens(features, other, chosen)
    assert positions_of_mask(torch.tensor([[[0.0, 1.0]]]), 6).tolist() == [[False] * 3 + [True] * 3]


@pytest.mark.parametrize("directions", [True, False])
def test_a_morph_begins_and_ends_with_the_images_themselves(features, other, directions):
    strengths = morph_strengths(1.0, 5)
    assert strengths == [0, 0.25, 0.5, 0.75, 1]
    made = blend_tokens(features, other, [0, 3], strengths, directions=directions)
    made = made.unflatten(0, (3, 5))
    assert torch.equal(made[:, 0], features)
    assert torch.equal(made[:, -1], copy_tokens(features, other, [0, 3]))
    assert torch.equal(made[:, :, 1], features[:, None, 1].expand(-1, 5, -1))


def test_directions_turn_at_an_even_pace_whatever_their_lengths(features, other):
    made = blend_tokens(features[:1], 9 * other[:1], range(6), [0, 0.25, 0.5, 0.75, 1],
                        directions=True)  # fmt: skip
    unit = torch.nn.functional.normalize(made, dim=-1)
    angles = (unit[1:] * unit[:-1]).sum(-1).clamp(-1, 1).acos()  # (4, 6)
    torch.testing.assert_close(angles, angles[:1].expand(4, -1), rtol=1e-3, atol=1e-3)
    lengths = made.norm(dim=-1)
    torch.testing.assert_close(lengths[2], (lengths[0] + lengths[4]) / 2)


def test_tokens_without_an_arc_between_them(features):
    for reference in (features, 2 * features, -features, 0 * features):
        made = blend_tokens(features, reference, range(6), [0.3, 0.9], directions=True)
        assert made.isfinite().all()


def test_straight_lines_where_lengths_count(features, other):
    made = blend_tokens(features, other, range(6), [0.25], directions=False)
    torch.testing.assert_close(made, 0.75 * features + 0.25 * other)


@pytest.mark.parametrize("strength", [-0.1, 1.01, math.nan, math.inf])
def test_strength_out_of_range(features, other, strength):
    with pytest.raises(ValueError, match=f"strength is {strength}, expected a number from 0"):
        blend_tokens(features, other, [0], [strength], directions=True)


def test_codes_set_by_hand(tokenizer, features):
    codes = parse_codes(" 3: 41, 0=7;\n", tokenizer.spec)
    assert codes == {3: 41, 0: 7}
    made = set_codes(features, codes, tokenizer)
    found = tokenizer.quantize(made).codes
    assert found[:, 3].tolist() == [41] * 3
    assert found[:, 0].tolist() == [7] * 3
    assert torch.equal(made[:, [1, 2, 4, 5]], features[:, [1, 2, 4, 5]])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "codes is ''"),
        (" , ", "codes is ' , '"),
        ("3", "contains '3'"),
        ("3: x", "contains '3: x'"),
        ("1: 1.5", "contains '1: 1.5'"),
        ("1: nan", "contains '1: nan'"),
        ("0-3: 7", "contains '0-3: 7'"),
        ("6: 0", "contains '6: 0'"),
        ("-1: 0", "contains '-1: 0'"),
        ("0: 64", "contains '0: 64'"),
        ("0: -1", "contains '0: -1'"),
        ("0: " + "9" * 5000, "contains '0: 999"),
    ],
)
def test_no_codes(tokenizer, text, found):
    with pytest.raises(ValueError, match="positions 0 to 5 and codes 0 to 63") as error:
        parse_codes(text, tokenizer.spec)
    assert found in str(error.value)
    assert len(str(error.value)) < 300


def test_a_position_twice_and_a_vae(tokenizer, vae):
    with pytest.raises(ValueError, match="codes sets position 2 twice"):
        parse_codes("2: 3, 2: 3", tokenizer.spec)
    with pytest.raises(ValueError, match="VAE, which has no codes to set"):
        parse_codes("2: 3", vae.spec)
