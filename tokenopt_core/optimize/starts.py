"""Starts without an image: random features, random codes, and the best of several.

Random features before quantization make better images than random codes (arXiv 2506.08257,
section 4.2).

Axes: b images, k candidates for each, n tokens, d token size, h and w pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor

from ..checks import python_numbers
from ..compute.memory import Chunks, Progress
from ..compute.seeds import SAMPLE_STREAM, generators, image_seeds, normal
from ..losses.base import LossFunction, as_loss
from ..tokenizers import Tokenizer, TokenizerSpec
from .loop import render


@python_numbers
def random_features(spec: TokenizerSpec, seeds: Sequence[int], spread: float = 1.0) -> Tensor:
    """Normal features (b, n, d) on the CPU, one row per seed, with standard deviation `spread`.

    Where the codebook looks at directions only, `spread` does not change the first image: it sets
    the tokens' length, and with it how far a step of `lr` turns them.

    Raises:
        ValueError: `spread` is not a finite number above 0.
    """
    _check_spread(spread)
    return spread * normal(generators(seeds), (spec.num_tokens, spec.token_size))


@python_numbers
def random_codes(
    tokenizer: Tokenizer, seeds: Sequence[int], spread: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Codes (b, n), each entry of the codebook as likely, and features (b, n, d) that have them.

    The features are the entries. Where the codebook looks at directions only, they get the length
    of `random_features`, so that a step of `lr` turns both kinds of start equally far.

    Raises:
        ValueError: the tokenizer is a VAE, or `spread` is not a finite number above 0.
    """
    _check_spread(spread)
    spec = tokenizer.spec
    size = spec.codebook_size
    if size is None:
        raise ValueError(f"{spec.name} is a VAE, which has no codes: use random_features instead.")
    rows = [torch.randint(size, (spec.num_tokens,), generator=s) for s in generators(seeds)]
    device = tokenizer.weights_device
    codes = torch.stack(rows).to(device)
    with torch.no_grad():
        features = tokenizer.lookup(codes)
    if spec.l2_normalized:
        features = features * (spread * spec.token_size**0.5)
    return codes, features


@torch.no_grad()
def sample_features(tokenizer: Tokenizer, images: Tensor, seeds: int | Sequence[int]) -> Tensor:
    """Features (b, n, d) drawn from a VAE's posterior of images (b, 3, h, w) in [0, 1].

    `Tokenizer.encode` gives its mean instead.

    Raises:
        ValueError: the tokenizer has a codebook.
    """
    posterior = tokenizer.posterior(images)
    sources = generators(image_seeds(seeds, len(images)), SAMPLE_STREAM)
    noise = normal(sources, posterior.mean.shape[1:])
    return posterior.mean + posterior.std * noise.to(posterior.mean)


@torch.no_grad()
def best_of(
    tokenizer: Tokenizer,
    loss: LossFunction,
    candidates: Tensor,
    *,
    seeds: int | Sequence[int] = 0,
    quantize: bool = True,
    text: Tensor | None = None,
    progress: Progress | None = None,
) -> tuple[Tensor, Tensor]:
    """For each image the candidate (b, n, d) with the lowest loss, and all losses (b, k).

    One decoded image per candidate, no gradient. All candidates of an image are evaluated with
    the same random crops, those of its first step, so that the choice is not between crops. Where
    memory does not suffice for all images at once they are decoded in parts.

    Args:
        candidates: (b, k, n, d) features.
        seeds, quantize, text: as for `optimize` and `render`.
        progress: called with the candidates of each image that are done and k; what it raises
            ends the search.
    """
    if candidates.ndim != 4 or not candidates.shape[1]:
        raise ValueError(
            f"candidates have shape {tuple(candidates.shape)}: expected (b, k, n, d) with k of 1 "
            "or more for each image."
        )
    seeds = image_seeds(seeds, len(candidates))
    loss = as_loss(loss).seeded(seeds).at(0.0)
    losses, chunks = [], Chunks(len(candidates))
    for features in candidates.unbind(1):  # as many images at once as the loss knows
        images = _decoded(tokenizer, features, quantize, text, chunks)
        losses.append(loss(images).float())
        if progress:
            progress(len(losses), candidates.shape[1])
    losses = torch.stack(losses, dim=1)  # (b, k)
    chosen = losses.nan_to_num(nan=torch.inf).argmin(1).to(candidates.device)
    return candidates[torch.arange(len(candidates), device=chosen.device), chosen], losses


def _decoded(
    tokenizer: Tokenizer, features: Tensor, quantize: bool, text: Tensor | None, chunks: Chunks
) -> Tensor:
    """The images (b, 3, h, w) of features (b, n, d)."""

    def decode(rows: slice) -> Tensor:
        words = text if text is None or len(text) == 1 else text[rows]
        return render(tokenizer, features[rows], quantize, words)[0]

    return torch.cat([images for _, images in chunks.parts(len(features), decode)])


def _check_spread(spread: float) -> None:
    if not isinstance(spread, Real) or not 0 < spread < math.inf:  # NaN too
        raise ValueError(f"spread is {spread}: expected a finite number above 0.")
