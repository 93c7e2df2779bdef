"""Batches of any length encoded, quantized and decoded, a chunk at a time.

Axes: b images, n tokens, d token size, h x w pixels of a given image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...tokenopt_core.compute.seeds import image_seeds
from ...tokenopt_core.images.fit import fit_images
from ...tokenopt_core.optimize.starts import sample_features
from ..host.images import from_images
from ..host.memory import images_per_chunk, in_chunks
from ..host.models import activation_bytes, gradient_scope
from ..host.sockets import LoadedTokenizer, Tokens


def encoded(tokenizer: LoadedTokenizer, images: Tensor, seed: int | None = None) -> Tokens:
    """Tokens of images (b, 3, h, w), a long batch in chunks.

    Args:
        seed: draws from a VAE's posterior, image k with seed + k; None takes its mean.
    """
    count, size = len(images), tokenizer.spec.image_size
    seeds = image_seeds(seed or 0, count)
    memory = activation_bytes(size, images_per_chunk(size, count), gradients=False)
    with gradient_scope(tokenizer, memory=memory) as device, torch.no_grad():

        def encode(rows: slice) -> Tensor:
            fitted = fit_images(images[rows], size).to(device)
            if seed is not None:
                return sample_features(tokenizer.module, fitted, seeds[rows]).float().cpu()
            return tokenizer.module.encode(fitted).float().cpu()

        features = torch.cat(in_chunks(count, size, encode))
        return Tokens(features, False, tokenizer.name)


def decoded(tokenizer: LoadedTokenizer, tokens: Tokens) -> Tensor:
    """IMAGE of tokens; a long batch, such as a morph, is decoded in chunks."""
    module, size = tokenizer.module, tokenizer.spec.image_size
    memory = activation_bytes(size, images_per_chunk(size, len(tokens)), gradients=False)
    with gradient_scope(tokenizer, memory=memory) as device, torch.no_grad():

        def decode(rows: slice) -> Tensor:
            values = tokens.values[rows].to(device)
            if not tokens.quantized:
                values = module.quantize(values).tokens
            return from_images(module.decode(values))

        return torch.cat(in_chunks(len(tokens), size, decode))


def as_decoded(tokenizer: LoadedTokenizer, tokens: Tokens) -> Tensor:
    """The tokens (b, n, d) that a decoder would get, on the CPU; call it in a `gradient_scope`."""
    if tokens.quantized:
        return tokens.values.clone()
    device = tokenizer.module.weights_device
    return tokenizer.module.quantize(tokens.values.to(device)).tokens.float().cpu()
