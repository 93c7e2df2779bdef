"""Which positions tell classes apart, and what replacing a token does; on plain numbers and a tiny
tokenizer, against loops that say the same more slowly."""

import pytest
import torch

from tokenopt_core.study.importance import importance, responses
from tokenopt_core.study.influence import pixel_influence
from tokenopt_core.study.replacement import other_codes


@pytest.fixture
def tokens(tokenizer, features):
    """(3, 6, 12), quantized."""
    return tokenizer.quantize(features).tokens


def planted(counts=(40, 40), position=3, strength=1.5, seed=0):
    """Unit tokens (b, 8, 12) whose one position depends on the class, and the classes."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.cat([torch.full((count,), k) for k, count in enumerate(counts)])
    values = torch.randn(len(classes), 8, 12, generator=generator)
    directions = torch.randn(len(counts), 12, generator=generator)
    values[:, position] += strength * directions[classes]
    return torch.nn.functional.normalize(values, dim=-1), classes


# Importance


def test_the_position_that_depends_on_the_class_is_found():
    found = importance(*planted(), 2)
    assert found.best(1) == [3]
    assert found.scores[3] > 3 * found.chance
    others = found.scores[[k for k in range(8) if k != 3]]
    assert others.max() < 1.5 * found.chance
    assert found.counts == (40, 40)


def test_scores_are_shares():
    values, classes = planted()
    values[:, 5] = torch.nn.functional.one_hot(classes, 12).float()  # nothing else in it
    values[:, 6] = values[0, 6]  # always the same
    scores = importance(values, classes, 2).scores
    assert scores[5] == pytest.approx(1.0, abs=1e-5)
    assert scores[6] == 0
    assert (scores >= 0).all()


def test_the_score_is_the_variance_of_the_class_means():
    values, classes = planted((30, 20, 10))
    means = torch.stack([values[classes == k].mean(0) for k in range(3)])
    between = (means - means.mean(0)).square().mean(0).sum(-1)
    parts = [(values[classes == k] - means[k]).square().mean(0).sum(-1) for k in range(3)]
    expected = between / (between + torch.stack(parts).mean(0))
    assert torch.allclose(importance(values, classes, 3).scores, expected, atol=1e-5)


def test_a_small_class_weighs_as_much_as_a_large_one():
    values, classes = planted((30, 30))
    again = torch.cat([values, *[values[classes == 0]] * 9])
    labels = torch.cat([classes, torch.zeros(270, dtype=torch.long)])
    first, second = importance(values, classes, 2), importance(again, labels, 2)
    assert torch.allclose(first.scores, second.scores, atol=1e-5)


def test_classes_without_meaning_seldom_rise_above_chance():
    above = 0
    for seed in range(40):
        values, classes = planted(strength=0.0, seed=seed)
        found = importance(values, classes, 2)
        above += bool(found.scores.max() > found.chance)
    assert above <= 7  # 2 expected


@pytest.mark.parametrize(
    ("classes", "count", "words"),
    [([0, 0, 0], 2, r"\[3, 0\]"), ([0, 1, 2], 2, r"\[1, 1, 1\]"), ([0, 0, 0], 1, "at least 2")],
)
def test_classes_that_cannot_be_compared(classes, count, words):
    with pytest.raises(ValueError, match=words):
        importance(torch.randn(3, 4, 2), torch.tensor(classes), count)


# Responses


def mean_colours(images):
    return images.mean((2, 3))


@pytest.mark.parametrize("by", ["mean", "random"])
def test_responses_are_those_of_replacing_one_token(tokenizer, tokens, by):
    seen = responses(tokenizer, tokens, mean_colours, by=by, seed=7, batch=4)
    shown = tokenizer.decode(tokens).clamp(0, 1)
    codes = other_codes(tokenizer, tokens, 1, 7)[:, 0]
    nearest = tokenizer.quantize(tokens.mean(0, keepdim=True)).tokens.expand_as(tokens)
    replaced = tokenizer.lookup(codes) if by == "random" else nearest
    for k in range(6):
        edited = tokens.clone()
        edited[:, k] = replaced[:, k]
        images = tokenizer.decode(edited).clamp(0, 1)
        assert torch.allclose(seen.after[k], mean_colours(images), atol=1e-5)
        assert seen.change[k] == pytest.approx((images - shown).abs().mean().item(), abs=1e-5)
    assert torch.allclose(seen.before, mean_colours(shown), atol=1e-5)


def test_class_changes_count_images_and_the_fall_of_their_own_text(tokenizer, tokens):
    seen = responses(tokenizer, tokens, mean_colours)
    before = torch.tensor([[0.9, 0.1, 0.5], [0.2, 0.6, 0.5]])  # classes 0 and 1 of the first two
    after = torch.tensor([[[0.3, 0.4, 0.9], [0.2, 0.6, 0.9]]])
    changed, drop = seen._replace(before=before, after=after).class_changes(slice(0, 2))
    assert changed.tolist() == [0.5]
    assert drop.tolist() == pytest.approx([0.3])


def test_a_vae_has_a_mean_but_no_codes(vae):
    values = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))
    seen = responses(vae, values, mean_colours, by="mean")
    edited = values.clone()
    edited[:, 2] = values[:, 2].mean(0)
    images = vae.decode(edited).clamp(0, 1)
    assert torch.allclose(seen.after[2], mean_colours(images), atol=1e-5)
    with pytest.raises(ValueError, match="VAE"):
        responses(vae, values, mean_colours, by="random")
    with pytest.raises(ValueError, match="VAE"):
        pixel_influence(vae, values)


# Influence


def test_maps_are_the_mean_change_of_each_pixel(tokenizer, tokens):
    maps = pixel_influence(tokenizer, tokens, samples=3, seed=5, batch=7)
    codes = other_codes(tokenizer, tokens, 3, 5)
    assert maps.shape == (6, 32, 32)
    shown = tokenizer.decode(tokens).clamp(0, 1)
    for k in range(6):
        total = torch.zeros(32, 32)
        for sample in codes.unbind(1):
            edited = tokens.clone()
            edited[:, k] = tokenizer.lookup(sample)[:, k]
            total += (tokenizer.decode(edited).clamp(0, 1) - shown).abs().mean((0, 1)) / 3
        assert torch.allclose(maps[k], total, atol=1e-5)


def test_an_images_map_depends_on_its_seed_alone(tokenizer, tokens):
    both = pixel_influence(tokenizer, tokens[:2], samples=2, seed=5, batch=64)
    alone = [
        pixel_influence(tokenizer, tokens[k : k + 1], samples=2, seed=5 + k, batch=1)
        for k in range(2)
    ]
    assert torch.allclose(both, (alone[0] + alone[1]) / 2, atol=1e-5)
    other = pixel_influence(tokenizer, tokens[:2], samples=2, seed=6)
    assert not torch.allclose(both, other, atol=1e-4)


def test_other_codes_are_other_codes(tokenizer, tokens):
    codes = tokenizer.quantize(tokens).codes
    others = other_codes(tokenizer, tokens, 500, 0)
    assert others.shape == (3, 500, 6)
    assert not (others == codes[:, None]).any()
    assert len(others[0, :, 0].unique()) == 63  # every other one of the 64


def test_progress_reaches_its_end_and_may_stop_the_work(tokenizer, tokens):
    seen = []
    pixel_influence(tokenizer, tokens, samples=3, batch=4, progress=lambda *s: seen.append(s))
    assert seen[-1] == (3 * 3 * 6, 3 * 3 * 6)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        responses(tokenizer, tokens, mean_colours, progress=stop)


def test_at_most_batch_images_are_decoded_at_once(tokenizer, tokens, monkeypatch):
    decode, sizes = tokenizer.decode, []
    monkeypatch.setattr(tokenizer, "decode", lambda t: sizes.append(len(t)) or decode(t))
    pixel_influence(tokenizer, tokens, samples=5, batch=4)
    assert max(sizes) == 4


@pytest.mark.parametrize(("samples", "batch"), [(0, 1), (1, 0)])
def test_counts_below_one(tokenizer, tokens, samples, batch):
    with pytest.raises(ValueError, match="1 or more"):
        pixel_influence(tokenizer, tokens, samples=samples, batch=batch)
