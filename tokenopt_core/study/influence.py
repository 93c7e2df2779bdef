"""Maps of the pixels that each token changes.

arXiv 2506.08257, section 3.1, asks what tokens carry. This is the causal side of it: each position
in turn gets other tokens and the change of the pixels is measured; nothing is optimized and nothing
is compared with a text.

Axes: b images, n tokens, d token size, v variations of each, s = the tokenizer's image size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..checks import python_numbers
from ..compute.memory import Progress
from ..tokenizers import Tokenizer
from .replacement import measure_replacements, other_codes


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
    others = other_codes(tokenizer, tokens, samples, seed)  # (b, samples, n)
    replacements = (tokenizer.lookup(codes.to(device)).flatten(0, 1) for codes in others)  # (v, d)
    measured = measure_replacements(
        tokenizer, tokens.to(device), positions, replacements, _change, batch, progress
    )
    for _, chunks in measured:
        for rows, changes in chunks:
            maps.index_add_(0, positions[rows].to(device), changes)
    return maps / (samples * len(tokens))


def _change(original: Tensor, edited: Tensor) -> Tensor:
    """Mean absolute change of every pixel (v, s, s)."""
    return (edited - original).abs().mean(1)
