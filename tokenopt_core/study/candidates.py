"""Decodes one image with another code at one position and asks a loss, a batch at a time.

However many codes are compared, no more than a batch of images is in memory, and one number stays
of each. Nothing of a decode is shared between the codes: after the transformer's first block every
position depends on the one that changes, and what could be kept before that is 5 % of the demo
tokenizer's decode and below 1 % of TiTok-L-32's.

Axes: n tokens, d token size, m codes, s = the tokenizer's image size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from ..compute.half_precision import autocast
from ..compute.memory import Chunks, Progress
from ..compute.seeds import send
from ..losses.base import Loss
from ..tokenizers import Tokenizer
from .influence import replaced

T = TypeVar("T")

SPARE = 32  # codes beyond the results that are ranked again in float32


class Looker:
    """What the search asks about codes at `position` of the image that is open.

    Args:
        batch: images decoded at once; halved when the device runs out of memory.
        dtype: of decoding and of the guides.
        progress: called with codes done and `total` after each batch.
    """

    def __init__(
        self, tokenizer: Tokenizer, batch: int, dtype: torch.dtype, progress: Progress | None
    ):
        self.tokenizer, self.dtype = tokenizer, dtype
        self._at_once = Chunks(batch)
        self.device = tokenizer.weights_device
        with torch.no_grad():
            self.entries = tokenizer.quantize.codebook()  # (codebook size, d)
        self.rounded = dtype != torch.float32
        self.position, self.total = 0, 0
        self._decoders = {torch.float32: tokenizer}
        if self.rounded:
            self._decoders[dtype] = tokenizer.cast(dtype)
        self.judges: dict[torch.dtype, Loss] = {}  # what is asked about images, by type
        self._progress, self._done = progress, 0

    @torch.no_grad()
    def open(self, codes: Tensor) -> None:
        """Turns to the image with these codes (n,)."""
        self.tokens = self.tokenizer.lookup(codes[None].to(self.device))[0]
        self.original = self.tokenizer.decode(self.tokens[None]).clamp(0, 1)  # (1, 3, s, s)

    def finalists(self, results: int, compared: int) -> int:
        """How many of the codes compared are ranked again in float32 for so many results."""
        return min(2 * results + SPARE, compared) if self.rounded else 0

    def losses(self, candidates: Tensor, *, exactly: bool = False) -> Tensor:
        """The loss of each candidate (m,), on the CPU.

        Args:
            exactly: in float32, whatever the lowered type is.
        """
        dtype = torch.float32 if exactly else self.dtype

        def ask(part: Tensor) -> Tensor:
            images = self._decoded(part, dtype)
            with autocast(dtype, self.device):
                return self.judges[dtype](images)

        found = [torch.zeros(0)]
        for part, values in self._in_parts(candidates, ask):
            if self.rounded and not exactly and not values.isfinite().all():
                values = self.losses(part, exactly=True)  # float16 ends at 65504
            else:
                self._tick(len(part))
            found.append(values.cpu())
        return torch.cat(found)

    def images(self, candidates: Tensor) -> Tensor:
        """The edited images (m, 3, s, s), in float32 on the CPU."""
        found = []
        parts = self._in_parts(candidates, lambda part: self._decoded(part, torch.float32))
        for part, images in parts:
            found.append(images.cpu())
            self._tick(len(part))
        return torch.cat(found)

    def loss_and_gradient(self, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """The loss (m,) of candidates and its gradient in the token there (m, d), on the CPU."""
        losses, gradients = [], []
        for _, (loss, gradient) in self._in_parts(candidates, self._gradient, share=4):
            losses.append(loss.detach().cpu())
            gradients.append(gradient.float().cpu())
            self._tick(0)
        return torch.cat(losses), torch.cat(gradients)

    def _gradient(self, part: Tensor) -> tuple[Tensor, Tensor]:
        """As `loss_and_gradient`, of a few candidates at once."""
        dtype = torch.float32 if self.dtype == torch.float16 else self.dtype  # it would underflow
        with torch.enable_grad():
            token = self.entries[send(part, self.device)].clone().requires_grad_()
            edited = self.tokens.repeat(len(part), 1, 1)
            edited[:, self.position] = token
            with autocast(torch.float32, self.device):  # off: the decoder knows its type
                images = self._decoders[dtype].decode(edited).clamp(0, 1)
            with autocast(dtype, self.device):
                loss = self.judges[dtype](images)
            if not loss.requires_grad:
                raise ValueError(
                    "the loss does not depend on the images by differentiable operations, "
                    "which the method 'gradient' needs: choose 'guided' or 'exact'."
                )
            (gradient,) = torch.autograd.grad(loss.sum(), token)
        return loss, gradient

    def _decoded(self, part: Tensor, dtype: torch.dtype) -> Tensor:
        """The images (m, 3, s, s) in [0, 1] of a few candidates."""
        positions = torch.full((len(part),), self.position)
        tokens = self.entries[send(part, self.device)]
        with autocast(torch.float32, self.device):
            return replaced(self._decoders[dtype], self.tokens, positions, tokens)

    def _in_parts(
        self, candidates: Tensor, work: Callable[[Tensor], T], share: int = 1
    ) -> Iterator[tuple[Tensor, T]]:
        """Pairs of candidates and what `work` makes of them, a batch at a time.

        Args:
            share: a batch is divided by it, for work that needs so many times the memory.
        """
        parts = self._at_once.parts(len(candidates), lambda rows: work(candidates[rows]), share)
        for rows, result in parts:
            yield candidates[rows], result

    def _tick(self, count: int) -> None:
        self._done += count
        if self._progress:
            self._progress(self._done, self.total)
