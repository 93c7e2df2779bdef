"""Loss and images of candidates: one image with another code at one position, a chunk at a time.

However many codes are compared, no more than one chunk of images is in memory, and one number is
kept of each. Nothing of a decode is shared between the codes: after the transformer's first block
every position depends on the one that changes, and what could be kept before that is 5 % of the
demo tokenizer's decode and below 1 % of TiTok-L-32's.

Axes: n tokens, d token size, m codes, s = the tokenizer's image size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from ..compute.half_precision import autocast
from ..compute.memory import Chunks, Progress
from ..compute.seeds import send
from ..losses.base import LossFunction, as_loss, check_losses
from ..losses.masked import MaskedComposite, MaskedL1Loss
from ..tokenizers import Tokenizer
from .replacement import replaced_images

T = TypeVar("T")


@dataclass(frozen=True)
class Original:
    """The image whose edits are compared.

    Args:
        codes: (n,) on the CPU; `tokens` (n, d) are theirs.
        image: (1, 3, s, s) in [0, 1].
        losses: of edited images (m, 3, s, s) -> (m,), by the type that they are computed in.
    """

    codes: Tensor
    tokens: Tensor
    image: Tensor
    losses: Mapping[torch.dtype, LossFunction]


@dataclass(frozen=True)
class Evaluator:
    """Decodes candidates and computes their losses, for all images of a search.

    Args:
        decoders: the tokenizer by the type that it decodes in; float32 is among them.
        entries: (codebook size, d), all tokens.
        chunks: how many candidates are decoded at once.
        count: called with the number of candidates that are done, after each chunk.
    """

    decoders: Mapping[torch.dtype, Tokenizer]
    entries: Tensor
    chunks: Chunks
    count: Callable[[int], None]

    def losses(
        self, original: Original, position: int, codes: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """The loss (m,) of each candidate, on the CPU; in float32 where `dtype` overflows."""
        loss = original.losses[dtype]

        def measure(images: Tensor) -> Tensor:
            with autocast(dtype, images.device):
                return loss(images)

        parts = [torch.zeros(0)]
        for rows, values in self._chunks(original, position, codes, dtype, measure):
            if dtype != torch.float32 and not values.isfinite().all():
                values = self.losses(original, position, codes[rows], torch.float32)
            else:
                self.count(len(values))
            parts.append(values.cpu())
        return torch.cat(parts)

    def images(self, original: Original, position: int, codes: Tensor) -> Tensor:
        """The edited images (m, 3, s, s), in float32 on the CPU."""
        parts = []
        for _, images in self._chunks(original, position, codes, torch.float32, Tensor.cpu):
            parts.append(images)
            self.count(len(images))
        return torch.cat(parts)

    def _chunks(
        self,
        original: Original,
        position: int,
        codes: Tensor,
        dtype: torch.dtype,
        measure: Callable[[Tensor], T],
    ) -> Iterator[tuple[slice, T]]:
        """Which of the candidates, and what `measure` makes of their images, chunk by chunk."""

        def work(rows: slice) -> T:
            positions = torch.full((rows.stop - rows.start,), position)
            tokens = self.entries[send(codes[rows], self.entries.device)]
            return measure(
                replaced_images(self.decoders[dtype], original.tokens, positions, tokens)
            )

        return self.chunks.parts(len(codes), work)


@torch.no_grad()
def make_evaluator(
    tokenizer: Tokenizer, dtype: torch.dtype, batch: int, total: int, progress: Progress | None
) -> Evaluator:
    """The evaluator of a search that compares in `dtype` and ends in float32.

    Args:
        progress: called with the number of candidates done and `total`, after each chunk.
    """
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        if progress:
            progress(done, total)

    decoders = {torch.float32: tokenizer}
    if dtype != torch.float32:
        decoders[dtype] = tokenizer.cast(dtype)
    return Evaluator(decoders, tokenizer.quantize.codebook(), Chunks(batch), count)


@torch.no_grad()
def make_original(
    evaluator: Evaluator, codes: Tensor, loss: LossFunction | None, mask: Tensor | None, seed: int
) -> Original:
    """The image of these codes (n,), with its loss in each type of the evaluator.

    Args:
        loss: None is the mean absolute difference to the image.
        mask: (1, 1, s, s), what counts; None is everything.
        seed: of the loss's random crops, the same for every candidate.
    """
    tokenizer = evaluator.decoders[torch.float32]
    tokens = tokenizer.lookup(codes[None].to(tokenizer.weights_device))
    image = tokenizer.decode(tokens).clamp(0, 1)
    losses = {
        dtype: _candidate_loss(loss, mask, image, seed, dtype) for dtype in evaluator.decoders
    }
    return Original(codes, tokens[0], image, losses)


def _candidate_loss(
    loss: LossFunction | None, mask: Tensor | None, original: Tensor, seed: int, dtype: torch.dtype
) -> LossFunction:
    """Edits (m, 3, s, s) of one image -> loss (m,), computed in `dtype`."""
    if loss is None:
        counts = torch.ones_like(original[:, :1]) if mask is None else mask.to(original)
        inner = MaskedL1Loss(original, 1 - counts)
    else:
        inner = as_loss(loss).cast(dtype)
        if mask is not None:
            inner = MaskedComposite(inner, original, mask.to(original))

    def checked(images: Tensor) -> Tensor:
        start = original.expand_as(images)
        values = inner.seeded([seed] * len(images)).started(lambda: start).at(1.0)(images)
        return check_losses(inner.name, values, len(images)).float()

    return checked
