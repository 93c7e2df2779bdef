"""What an attribute holds and what adding it does, on a tokenizer of unit length and a VAE."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from tokenopt_core.tokenizers import build_tokenizer
from tokenopt_core.tokens.attributes import add_attribute, attribute_vector, tokenizer_tag

from ..tokenizer_specs import VAE, VQ


@pytest.fixture
def tokenizer():
    torch.manual_seed(0)
    return build_tokenizer(VQ)


@pytest.fixture
def vae():
    torch.manual_seed(0)
    return build_tokenizer(VAE)


def tokens(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 4, 6, generator=torch.Generator().manual_seed(seed))


def learn(tokenizer, present, absent, **more):
    return attribute_vector(tokenizer, present, absent, name="mine", **more)


def test_the_difference_of_the_means(vae):
    present, absent = tokens(5, 1), tokens(7, 2)
    found = learn(vae, present, absent, names=("dark", "bright"))
    torch.testing.assert_close(found.difference, present.mean(0) - absent.mean(0))
    assert found.counts == (5, 7)
    assert found.names == ("dark", "bright")
    assert found.tokenizer == "mine"
    assert found.tag == tokenizer_tag(vae)
    assert found.positions == (0, 1, 2, 3)


def test_strength_one_moves_the_mean_of_one_set_onto_the_other(vae):
    present, absent = tokens(5, 1), tokens(7, 2)
    found = learn(vae, present, absent)
    torch.testing.assert_close(add_attribute(absent, found, 1.0).mean(0), present.mean(0))
    torch.testing.assert_close(add_attribute(present, found, -1.0).mean(0), absent.mean(0))
    torch.testing.assert_close(add_attribute(absent, found, 0.5), absent + found.difference / 2)


def test_length_does_not_count_where_tokens_have_none(tokenizer):
    """Features and quantized tokens of one set say the same; long features weigh no more."""
    present, absent = tokens(5, 1), tokens(7, 2)
    long = present * torch.tensor([1.0, 9, 1, 0.1, 3]).view(5, 1, 1)
    one, other = learn(tokenizer, present, absent), learn(tokenizer, long, absent)
    torch.testing.assert_close(one.difference, other.difference)


def test_tokens_keep_their_own_length_and_turn(tokenizer):
    found = learn(tokenizer, tokens(5, 1), tokens(7, 2))
    start = tokens(3, 4) * torch.tensor([0.5, 1, 8]).view(3, 1, 1)
    moved = add_attribute(start, found, 1.0)
    torch.testing.assert_close(moved.norm(dim=-1), start.norm(dim=-1))
    direction = F.normalize(F.normalize(start, dim=-1) + found.difference, dim=-1)
    torch.testing.assert_close(F.normalize(moved, dim=-1), direction)


def test_other_positions_stay_to_the_last_bit(tokenizer):
    found = learn(tokenizer, tokens(5, 1), tokens(7, 2), positions=[2])
    start = tokens(3, 4)
    moved = add_attribute(start, found, 1.0)
    assert torch.equal(moved[:, [0, 1, 3]], start[:, [0, 1, 3]])
    assert not torch.equal(moved[:, 2], start[:, 2])
    moved = add_attribute(start, found, 1.0, positions=[0, 3])
    assert torch.equal(moved[:, [1, 2]], start[:, [1, 2]])
    assert not torch.equal(moved[:, 0], start[:, 0])


def test_strength_zero_changes_nothing(tokenizer):
    start = tokens(3, 4)
    assert torch.equal(add_attribute(start, learn(tokenizer, start, tokens(2, 5)), 0.0), start)


def separated() -> tuple[torch.Tensor, torch.Tensor]:
    """Two sets that differ most at position 1, and most clearly at position 3."""
    present, absent = tokens(40, 1) * 0.1, tokens(40, 2) * 0.1
    present[:, 1] += 1.0 + 2 * tokens(40, 3)[:, 1]  # far apart, but scattered
    present[:, 3] += 0.5
    return present, absent


def test_strongest_is_relative_to_the_spread(vae):
    present, absent = separated()
    found = learn(vae, present, absent)
    assert found.difference.norm(dim=-1).argmax() == 1
    assert found.strongest()[:2] == [3, 1]
    assert 0.8 < found.shares[3] < 0.95  # 0.375 between the sets, 0.06 within
    assert found.shares.min() >= 0
    assert found.shares.max() <= 1
    assert learn(vae, present, absent, strongest=1).positions == (3,)
    assert learn(vae, present, absent, strongest=2).positions == (1, 3)
    assert learn(vae, present, absent, positions=[0, 1], strongest=1).positions == (1,)
    assert learn(vae, present, absent, strongest=99).positions == (0, 1, 2, 3)


def test_one_image_each_ranks_by_distance(vae):
    """There is no spread to compare with; the vector is the difference of the two images."""
    one, other = tokens(1, 1), tokens(1, 2)
    found = learn(vae, one, other)
    torch.testing.assert_close(add_attribute(other, found, 1.0), one)
    assert found.strongest()[0] == (one - other)[0].norm(dim=-1).argmax()


@pytest.mark.parametrize("positions", [None, [1]])
def test_equal_sets_have_no_attribute(tokenizer, positions):
    same = tokens(5, 1)
    with pytest.raises(ValueError, match="tokens_with and tokens_without have the same mean"):
        learn(tokenizer, same, same.flip(0), positions=positions)


def test_sets_that_differ_elsewhere(vae):
    present, absent = tokens(5, 1), tokens(5, 1)
    present[:, 0] += 1
    assert learn(vae, present, absent, positions=[0]).positions == (0,)
    with pytest.raises(ValueError, match="at the chosen positions"):
        learn(vae, present, absent, positions=[1, 2])


def test_wrong_tokens(tokenizer):
    with pytest.raises(ValueError, match=r"tokens_without have shape .*expected \(b, 4, 6\)"):
        learn(tokenizer, tokens(2, 1), tokens(2, 1)[:, :3])
    with pytest.raises(ValueError, match="tokens_with has no image"):
        learn(tokenizer, tokens(2, 1)[:0], tokens(2, 1))
    found = learn(tokenizer, tokens(2, 1), tokens(2, 2))
    with pytest.raises(ValueError, match="expected tokens of the same tokenizer"):
        add_attribute(tokens(2, 1)[:, :3], found, 1.0)
    for strength in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="expected a finite number"):
            add_attribute(tokens(2, 1), found, strength)


def test_inputs_are_left_alone(tokenizer):
    present, absent, start = tokens(5, 1), tokens(7, 2), tokens(3, 4)
    add_attribute(start, learn(tokenizer, present, absent), 1.0)
    assert torch.equal(present, tokens(5, 1))
    assert torch.equal(absent, tokens(7, 2))
    assert torch.equal(start, tokens(3, 4))
