"""What the easy nodes tell their user about a picture that the models do not know."""

from __future__ import annotations

from torch import Tensor

from .codec import decoded
from .images import to_images
from .types import LoadedTokenizer, Tokens

# Decibels (PSNR): the demo tokenizer gives its scenes back with 25 to 40, photographs with 6 to 13.
FOREIGN = 18.0


def remarks_of(tokenizer: LoadedTokenizer, squares: Tensor, tokens: Tokens) -> list[str]:
    """A sentence if the demo tokenizer cannot draw one of the squares (b, 3, s, s).

    Args:
        tokens: of those squares first.
    """
    if tokenizer.name != "demo":
        return []
    first = Tokens(tokens.values[: len(squares)], tokens.quantized, tokens.tokenizer)
    drawn = to_images(decoded(tokenizer, first))
    error = (drawn - squares).square().mean((1, 2, 3)).clamp(min=1e-10)
    if (-10 * error.log10()).min() >= FOREIGN:
        return []
    return [
        "the demo models know only the scenes of Demo Scene, and cannot draw this picture: set "
        "models to photos for other pictures (a download of 3.2 GB), or connect tokenizer and guide"
    ]
