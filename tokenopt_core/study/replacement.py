"""Images with one token replaced, decoded a chunk at a time, and random codes to replace it by.

Axes: b images, v replacements of one image, n tokens, d token size, s = the tokenizer's image size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from ..checks import python_numbers
from ..compute.half_precision import autocast
from ..compute.memory import Chunks, Progress
from ..compute.seeds import VARY_STREAM, generators, image_seeds, send
from ..tokenizers import Tokenizer

T = TypeVar("T")


def measure_replacements(
    tokenizer: Tokenizer,
    tokens: Tensor,
    positions: Tensor,
    replacements: Iterable[Tensor],
    measure: Callable[[Tensor, Tensor], T],
    batch: int,
    progress: Progress | None = None,
) -> Iterator[tuple[Tensor, Iterator[tuple[slice, T]]]]:
    """For each image the original (1, 3, s, s) in [0, 1], and its measurements chunk by chunk.

    A chunk comes with the rows of `positions` that it is of.

    Args:
        tokens: (b, n, d).
        positions: (v,), which token is replaced.
        replacements: of each image, (v, d), by what.
        measure: the original and edited images (., 3, s, s) -> what is kept of them.
        batch: how many images are decoded at once; fewer where memory does not suffice.
        progress: called after each chunk.
    """
    chunks, count = Chunks(batch), len(positions)

    def measurements(
        index: int, image: Tensor, vectors: Tensor, original: Tensor
    ) -> Iterator[tuple[slice, T]]:
        def work(rows: slice) -> T:
            edited = replaced_images(tokenizer, image, positions[rows], vectors[rows])
            return measure(original, edited)

        for rows, measurement in chunks.parts(count, work):
            yield rows, measurement
            if progress:
                progress(index * count + rows.stop, len(tokens) * count)

    for index, (image, vectors) in enumerate(zip(tokens, replacements, strict=True)):
        original = tokenizer.decode(image[None]).clamp(0, 1)
        yield original, measurements(index, image, vectors, original)


@torch.no_grad()
def replaced_images(
    tokenizer: Tokenizer, tokens: Tensor, positions: Tensor, replacements: Tensor
) -> Tensor:
    """Images (v, 3, s, s) in [0, 1] of one image's tokens (n, d), each with one token replaced.

    Args:
        positions: (v,); `replacements` (v, d) are the tokens there.
    """
    edited = tokens.repeat(len(positions), 1, 1)
    rows = torch.arange(len(positions), device=edited.device)
    edited[rows, send(positions, edited.device)] = replacements
    with autocast(torch.float32, edited.device):  # off: the decoder knows its type
        return tokenizer.decode(edited).clamp(0, 1)


@python_numbers
@torch.no_grad()
def other_codes(tokenizer: Tokenizer, tokens: Tensor, samples: int, seed: int) -> Tensor:
    """Random codes (b, samples, n) on the CPU, each another one than the image has there.

    Args:
        seed: image k has seed + k.

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
