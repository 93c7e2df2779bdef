"""A text-aware tokenizer bound to its caption is decoded with it by everything, and changes only
in that."""

from __future__ import annotations

import pytest
import torch

from tests.unit.conftest import tiny_tokenizer
from tokenopt_core import (
    ClipLoss,
    OptimizeConfig,
    SearchConfig,
    best_of,
    load_text_encoder,
    load_tokenizer,
    optimize,
    perturb_search,
    pixel_influence,
    render,
    responses,
    save_tokenizer,
)


@pytest.fixture(scope="module")
def encoder(clip_folder):
    return load_text_encoder(clip_folder)


@pytest.fixture(scope="module")
def aware(encoder):
    """A tokenizer whose captions the tiny encoder can read."""
    size = {"text_length": encoder.size.context_length, "text_size": encoder.size.width}
    return tiny_tokenizer(name="aware", layout="tatitok", **size)


@pytest.fixture(scope="module")
def texts(encoder):
    """The features of two captions, (1, 12, 32) each."""
    return encoder.encode_text(["a red circle", "dark"]).guidance.split(1)


def mean_red(images):
    return images[:, 0].mean((1, 2))


def mean_red_column(images):
    return mean_red(images)[:, None]


VARIANTS = [
    {},
    {"low_memory": True},
    {"precision": "bfloat16"},
    {"precision": "float16", "low_memory": True},
    {"quantize": False},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_run_is_the_same_with_the_caption_bound_or_given(aware, features, texts, variant):
    config = OptimizeConfig(**{"steps": 3, "lr": 0.1, "precision": "float32"} | variant)

    def run(tokenizer, **options):
        return list(optimize(tokenizer, mean_red, features, config, **options))

    bound, given = run(aware.captioned(texts[0])), run(aware, text=texts[0])
    each = run(aware, text=texts[0].repeat(3, 1, 1))
    other = run(aware.captioned(texts[1]))
    half = "float" in variant.get("precision", "")
    for steps in (given, each):
        assert (bound[0].images - steps[0].images).abs().max() < (0.05 if half else 1e-5)
        assert half or (bound[-1].result - steps[-1].result).abs().max() < 1e-4
    assert (bound[0].images - other[0].images).abs().max() > 0.2
    assert (bound[-1].result - other[-1].result).abs().max() > 1e-2


def test_a_run_with_a_caption_ends_lower_than_it_began(aware, guide, features, texts):
    config = OptimizeConfig(steps=15, lr=0.2)
    loss = ClipLoss(guide, "a red circle", crops=0)
    steps = list(optimize(aware.captioned(texts[0]), loss, features, config))
    assert (steps[-1].loss < steps[0].loss).all()
    images, _ = render(aware.captioned(texts[0]), steps[-1].result)
    expected, _ = render(aware, steps[-1].result, text=texts[0])
    torch.testing.assert_close(images, expected)


def test_an_image_does_not_depend_on_those_beside_it(aware, features, texts):
    config, bound = OptimizeConfig(steps=3, lr=0.1), aware.captioned(texts[0])
    *_, together = optimize(bound, mean_red, features, config)
    *_, alone = optimize(bound, mean_red, features[1:2], config, seeds=[1])
    torch.testing.assert_close(alone.result[0], together.result[1])


def test_what_looks_at_tokens_decodes_with_the_caption(aware, features, texts):
    """Each of them, with either caption and without one."""
    tokens = aware.quantize(features).tokens
    codes = aware.quantize(features).codes

    def search(tokenizer, method):
        found = perturb_search(tokenizer, codes[:1], [2], SearchConfig(top_k=2, method=method))
        return torch.cat([each.losses for each in found])

    uses = {
        "best of": lambda t: best_of(t, mean_red, features[:, None].repeat(1, 2, 1, 1))[1],
        "influence": lambda t: pixel_influence(t, tokens, samples=1),
        "search": lambda t: search(t, "exact"),
        "guided search": lambda t: search(t, "guided"),
        "importance": lambda t: responses(t, tokens, mean_red_column).change,
    }
    for name, use in uses.items():
        first, second = (use(aware.captioned(text)) for text in texts)
        assert first.shape == second.shape, name
        assert not torch.allclose(first, second), name
        with pytest.raises(ValueError, match=r"text is missing: tokenizer 'aware' decodes with"):
            use(aware)


def test_all_else_is_shared(aware, features, texts, tmp_path):
    bound = aware.captioned(texts[0])
    assert aware.caption is None
    assert all(a is b for a, b in zip(bound.parameters(), aware.parameters(), strict=True))
    assert bound.state_dict().keys() == aware.state_dict().keys()
    images = aware.decode(features, texts[1])
    torch.testing.assert_close(bound.captioned(texts[1]).decode(features), images)
    torch.testing.assert_close(bound.decode(features, texts[1]), images)
    save_tokenizer(bound, tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert loaded.caption is None
    torch.testing.assert_close(loaded.decode(features, texts[1]), images)


def test_a_copy_in_half_precision_keeps_its_caption(aware, features, texts):
    copy = aware.captioned(texts[0]).cast(torch.bfloat16)
    assert copy.caption.dtype == torch.bfloat16
    expected = aware.decode(features, texts[0])
    assert (copy.decode(features) - expected).abs().max() < 0.1 * expected.abs().max()


def test_captions_that_are_none(aware, tokenizer, texts):
    with pytest.raises(ValueError, match="tokenizer 'tiny' takes none: only TA-TiTok does"):
        tokenizer.captioned(texts[0])
    with pytest.raises(ValueError, match=r"text has shape \(3, 12, 32\), expected \(1, 12, 32\)"):
        aware.captioned(texts[0].repeat(3, 1, 1))
    with pytest.raises(ValueError, match=r"found the type str, expected a torch.Tensor \(b, 12"):
        aware.captioned("a red circle")
