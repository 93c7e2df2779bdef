"""Tiny generators of both kinds with random weights."""

from __future__ import annotations

import pytest
import torch

from tokenopt_core.generators import Generator, GeneratorSpec, build_generator
from tokenopt_core.tokenizers import ViTSize

SPEC = GeneratorSpec(
    name="tiny",
    kind="imagebert",
    num_tokens=8,
    codebook_size=40,
    num_classes=10,
    network=ViTSize(width=48, layers=2, heads=4),
    mlp_width=96,
)


def tiny_generator(spec: GeneratorSpec = SPEC) -> Generator:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        generator = build_generator(spec)
        for parameter in generator.parameters():  # the usual start is too small to see anything
            parameter.data += 0.15 * torch.randn_like(parameter)
    return generator.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def generator() -> Generator:
    return tiny_generator()
