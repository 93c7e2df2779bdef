"""What a token does to the image: each position in turn gets other tokens, and the pixels tell.

arXiv 2506.08257, section 3.1, looks at what tokens carry. This is the causal side of it: nothing is
optimized and nothing is compared with a text.

Axes: b images, n tokens, d token size, v variations, s = the tokenizer's image size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from ..checks import python_numbers
from ..compute.memory import Chunks, Progress
from ..compute.seeds import VARY_STREAM, generators, image_seeds, send
from ..tokenizers import Tokenizer

T = TypeVar("T")


@python_numbers
@torch.no_grad()
def pixel_influence(
    tokenizer: Tokenizer,
    tokens: Tensor,
    *,
    samples: int = 16,
    seed: int = 0,
    batch: int = 64,
    progress: Progress | None = None,
) -> Tensor:
    """For each position the mean absolute change (n, s, s) of every pixel when its code varies.

    The mean is over images, samples and colours; 0 is no change at all. An image's share does not
    depend on its batch mates.

    Args:
        tokens: (b, n, d), quantized.
        samples: how many other codes, random and all as likely, each position gets in each image.
        seed: image k of the batch has seed + k.
        batch: how many images are decoded at once; memory grows with it, not with b or samples.
            Fewer where that does not suffice.

    Raises:
        ValueError: the tokenizer is a VAE, which has no codes; or samples or batch is below 1.
    """
    if samples < 1 or batch < 1:
        raise ValueError(f"samples is {samples} and batch {batch}: expected 1 or more of each.")
    spec, device = tokenizer.spec, tokenizer.weights_device
    maps = torch.zeros(spec.num_tokens, spec.image_size, spec.image_size, device=device)
    positions = torch.arange(spec.num_tokens).repeat(samples)  # (v,)
    total = len(tokens) * len(positions)
    others = other_codes(tokenizer, tokens, samples, seed)  # (b, samples, n)
    chunk_size = Chunks(batch)
    for k, (image, codes) in enumerate(zip(tokens.to(device), others, strict=True)):
        before = tokenizer.decode(image[None]).clamp(0, 1)
        replacements = tokenizer.lookup(codes.to(device)).flatten(0, 1)  # (v, d)
        measure = partial(_change, before)
        varied = variations(tokenizer, image, positions, replacements, chunk_size, measure)
        for rows, changes in varied:
            maps.index_add_(0, positions[rows].to(device), changes)
            if progress:
                progress(k * len(positions) + rows.stop, total)
    return maps / (samples * len(tokens))


def variations(
    tokenizer: Tokenizer,
    tokens: Tensor,
    positions: Tensor,
    replacements: Tensor,
    chunk_size: Chunks,
    measure: Callable[[Tensor], T],
) -> Iterator[tuple[slice, T]]:
    """What `measure` makes of one image's tokens (n, d), each time with one token replaced.

    The images come a few at a time, with the rows that they are of.

    Args:
        positions: (v,), which token.
        replacements: (v, d), by what.
        measure: images (., 3, s, s) in [0, 1] -> what is kept of them.
    """

    def work(rows: slice) -> T:
        return measure(replaced(tokenizer, tokens, positions[rows], replacements[rows]))

    return chunk_size.parts(len(positions), work)


@torch.no_grad()
def replaced(
    tokenizer: Tokenizer, tokens: Tensor, positions: Tensor, replacements: Tensor
) -> Tensor:
    """Images (v, 3, s, s) in [0, 1] of one image's tokens (n, d), each with one token replaced."""
    edited = tokens.repeat(len(positions), 1, 1)
    rows = torch.arange(len(positions), device=edited.device)
    edited[rows, send(positions, edited.device)] = replacements
    return tokenizer.decode(edited).clamp(0, 1)


def _change(before: Tensor, after: Tensor) -> Tensor:
    """Mean absolute change of every pixel (v, s, s)."""
    return (after - before).abs().mean(1)


@python_numbers
@torch.no_grad()
def other_codes(tokenizer: Tokenizer, tokens: Tensor, samples: int, seed: int) -> Tensor:
    """Random codes (b, samples, n) on the CPU, each another one than the image has there.

    Raises:
        ValueError: the tokenizer is a VAE.
    """
    size = tokenizer.spec.codebook_size
    if size is None:
        raise ValueError(f"{tokenizer.spec.name} is a VAE, which has no codes to vary.")
    codes = tokenizer.quantize(tokens.to(tokenizer.weights_device)).codes.cpu()
    sources = generators(image_seeds(seed, len(tokens)), VARY_STREAM)
    shape = (samples, tokens.shape[1])
    steps = torch.stack([torch.randint(1, size, shape, generator=source) for source in sources])
    return (codes[:, None] + steps) % size
