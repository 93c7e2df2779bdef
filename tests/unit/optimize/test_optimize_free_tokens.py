"""Tokens that left the codebook (quantize off) are a start like any other: nothing is lost."""

from __future__ import annotations

import torch

from tokenopt_core.optimize.config import OptimizeConfig
from tokenopt_core.optimize.loop import optimize, render

FREE = OptimizeConfig(steps=6, quantize=False, keep="last")


def redness(images):
    return (images[:, 1:] - images[:, :1]).mean((1, 2, 3))


def test_a_run_goes_on_from_free_tokens_as_they_are(tokenizer, features):
    *_, last = optimize(tokenizer, redness, features, FREE)
    again = next(optimize(tokenizer, redness, last.result, FREE, quantized=True))
    torch.testing.assert_close(again.features, last.result)
    torch.testing.assert_close(again.images, render(tokenizer, last.result, quantize=False)[0])


def test_features_start_at_their_codes(tokenizer, features):
    first = next(optimize(tokenizer, redness, features, FREE))
    torch.testing.assert_close(first.features, tokenizer.quantize(features).tokens)
