"""Tokenizers at their boundary: what they refuse, in which words."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from tests.unit.tokenizer_specs import TEXT, VQ, VQGAN
from tokenopt_core.tokenizers import ViTSize, load_tokenizer


@pytest.fixture
def vq(hub_layout):
    return load_tokenizer(hub_layout(VQ))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.rand(3, 16, 16), r"images: found the shape \(3, 16, 16\), expected \(b, 3, h, w\)"),
        (torch.rand(1, 4, 16, 16), r"expected \(b, 3, h, w\)"),
        (torch.zeros(1, 3, 16, 16, dtype=torch.uint8), r"uint8, expected floating point in \[0, 1"),
        (torch.rand(1, 3, 0, 16), r"at least one pixel"),
    ],
)
def test_unusable_images(vq, images, message):
    with pytest.raises(ValueError, match=message):
        vq.encode(images)


@pytest.mark.parametrize("call", ["quantize", "decode"])
@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (torch.rand(1, 3, 6), r"have shape \(1, 3, 6\), expected \(b, 4, 6\) for tokenizer 'vq'"),
        (torch.rand(1, 5, 6), r"expected \(b, 4, 6\)"),
        (torch.rand(4, 6), r"expected \(b, 4, 6\)"),
        (torch.rand(1, 6, 4), r"expected \(b, 4, 6\)"),
        (torch.zeros(1, 4, 6, dtype=torch.long), r"int64, expected floating point"),
    ],
)
def test_unusable_tokens(vq, call, tokens, message):
    with pytest.raises(ValueError, match=message):
        getattr(vq, call)(tokens)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([[0, 1, 2, 32]], r"between 0 and 32, expected 0 to 31"),
        ([[-1, 1, 2, 3]], r"between -1 and 3, expected 0 to 31"),
        ([[0, 1, 2]], r"shape \(1, 3\), expected \(b, 4\)"),
        ([0, 1, 2, 3], r"shape \(4,\), expected \(b, 4\)"),
        ([[0.0, 1.0, 2.0, 3.0]], r"float32, expected integers"),
    ],
)
def test_unusable_codes(vq, codes, message):
    with pytest.raises(ValueError, match=message):
        vq.lookup(torch.tensor(codes))


def test_text_is_for_text_aware_tokenizers(vq, hub_layout):
    tokens = torch.rand(2, 4, 6)
    with pytest.raises(ValueError, match=r"tokenizer 'vq' takes none: only TA-TiTok"):
        vq.decode(tokens, torch.rand(2, 3, 5))
    aware = load_tokenizer(hub_layout(TEXT))
    with pytest.raises(ValueError, match=r"text is missing: tokenizer 'text'.*\(2, 3, 5\)"):
        aware.decode(tokens)
    with pytest.raises(ValueError, match=r"text has shape \(2, 4, 5\), expected \(2, 3, 5\)"):
        aware.decode(tokens, torch.rand(2, 4, 5))
    text = torch.rand(1, 3, 5)
    assert torch.equal(aware.decode(tokens, text), aware.decode(tokens, text.expand(2, -1, -1)))


def test_spec_is_frozen_and_checked():
    with pytest.raises(FrozenInstanceError):
        VQ.num_tokens = 5
    for change, message in [
        ({"num_tokens": 0}, "num_tokens is 0, expected a whole number of at least 1"),
        ({"kind": "fsq"}, "kind is 'fsq', expected one of vq, vae"),
        ({"layout": "x"}, "layout is 'x', expected one of titok"),
        ({"image_size": 20}, "expected a multiple of its encoder patch 8"),
        ({"kind": "vae"}, "is a VAE: it cannot have a codebook"),
        ({"legacy": True}, "a legacy tokenizer ends in a pixel stage"),
        ({"text_length": 3}, "'tatitok' needs both"),
        ({"encoder": None}, "needs the sizes of its encoder"),
    ]:
        with pytest.raises(ValueError, match=message):
            replace(VQ, **change)
    with pytest.raises(ValueError, match="not a multiple of its 3 heads"):
        ViTSize(width=64, layers=1, heads=3)
    with pytest.raises(ValueError, match="expected the square of image_size=16 over the stride 4"):
        replace(VQGAN, num_tokens=15)
