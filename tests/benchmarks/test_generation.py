"""The loop that the generators' speed is compared with makes the same images."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.speed import models
from benchmarks.speed.generation import plain_images
from tokenopt_core import generate
from tokenopt_core.generators import RELEASES, build_generator
from tokenopt_core.generators.config import USUAL
from tokenopt_core.tokenizers import ViTSize


@pytest.mark.parametrize("name", RELEASES)
def test_both_loops_make_the_same_images(name):
    """Without noise, whose numbers are others."""
    tokenizer = models.tokenizer("small-two-stage", torch.device("cpu"))
    spec, released = tokenizer.spec, RELEASES[name].spec
    recommended = replace(released.recommended, steps=6, temperature=0.0)
    small = replace(
        released,
        num_tokens=spec.num_tokens,
        codebook_size=spec.codebook_size,
        num_classes=10,
        network=ViTSize(width=64, layers=2, heads=4),
        mlp_width=128,
        recommended=recommended.resolved(USUAL),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = models._filled(build_generator(small))
    labels = torch.tensor([3, 0, 7])
    plain = plain_images(generator, tokenizer, labels, small.recommended)
    *_, last = generate(generator, labels)
    torch.testing.assert_close(
        plain, tokenizer.decode(tokenizer.lookup(last.codes)), rtol=1e-3, atol=1e-3
    )
