"""What the easy nodes tell their user about a picture that the models do not know."""

from __future__ import annotations

import torch
from torch import Tensor

from ..host.images import to_images
from ..host.sockets import LoadedTokenizer, Tokens
from ..tokens.codec import decoded

# Decibels (PSNR): the demo tokenizer gives its scenes back with 25 to 40, with 15 at least beside a
# large black hole, as mask editors leave one; photographs with 6 to 13.
FOREIGN = 14.0


def remarks_of(
    tokenizer: LoadedTokenizer, squares: Tensor, tokens: Tokens, known: Tensor | None = None
) -> list[str]:
    """A sentence if the demo tokenizer cannot draw one of the squares (b, 3, s, s).

    Args:
        tokens: of those squares first.
        known: (1 or b, 1, s, s), the share of each pixel that counts; None is all of each, and so
            is a square without any.
    """
    if tokenizer.name != "demo":
        return []
    first = Tokens(tokens.values[: len(squares)], tokens.quantized, tokens.tokenizer)
    drawn = to_images(decoded(tokenizer, first))
    counts = squares.new_ones(1, 1, 1, 1) if known is None else known
    counts = torch.where(counts.amax((2, 3), keepdim=True) > 0, counts, 1.0).expand_as(squares)
    error = (drawn - squares).square().mul(counts).sum((1, 2, 3)) / counts.sum((1, 2, 3))
    error = error.clamp(min=1e-10)
    if (-10 * error.log10()).min() >= FOREIGN:
        return []
    return [
        "the demo models know only the scenes of Demo Scene, and cannot draw this picture: set "
        "models to photos for other pictures (a download of 3.2 GB), or connect tokenizer and guide"
    ]
