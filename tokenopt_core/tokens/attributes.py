"""Attributes as directions: the mean token of images with a property minus that of images without.

Added to the tokens of another image it gives that image the property, subtracted it takes it away.
After arXiv 2506.08257, section 3.1, where whole tokens are copied; a difference of class means
keeps what else the token says.

Axes: b images, n tokens, d token size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ..checks import python_numbers
from ..compute.seeds import send
from ..tokenizers import Tokenizer
from ..tokenizers.base import check_tokens, length
from ..tokenizers.fingerprint import fingerprint

_ZERO = 1e-6  # shorter differences are rounding
_TAG_BYTES = 8


@dataclass(frozen=True, eq=False)
class Attribute:
    """What the tokens of two sets of images differ by; never changed in place.

    Args:
        difference: (n, d) float32 on the CPU, at all positions; in units of the token's own length
            if `unit_length`.
        shares: (n,) from 0 to 1: how much of the variance of a position's tokens lies between the
            two sets (equation 1 over all variance). 1 says nothing when each set is one image.
        positions: where the attribute is added unless others are asked for, sorted.
        counts: images with and without it.
        names: what the two sets were called.
        tokenizer: name of the tokenizer that it belongs to.
        tag: of that tokenizer's weights, hexadecimal.
        unit_length: the tokenizer's tokens have no length of their own (an L2-normalized codebook).
    """

    difference: Tensor
    shares: Tensor
    positions: tuple[int, ...]
    counts: tuple[int, int]
    names: tuple[str, str]
    tokenizer: str
    tag: str
    unit_length: bool

    def strongest(self, among: Sequence[int] | None = None) -> list[int]:
        """Positions (all, or those of `among`), the one that tells the sets apart best first."""
        chosen = sorted(range(len(self.shares)) if among is None else among)
        gaps, shares = self.difference.norm(dim=-1).tolist(), self.shares.tolist()
        return sorted(chosen, key=lambda p: (-shares[p], -gaps[p]))


@python_numbers
def attribute_vector(
    tokenizer: Tokenizer,
    present: Tensor,
    absent: Tensor,
    *,
    name: str,
    names: tuple[str, str] = ("with", "without"),
    positions: Sequence[int] | None = None,
    strongest: int = 0,
) -> Attribute:
    """The attribute that images with the tokens `present` (b, n, d) have, and with `absent` lack.

    Tokens of an L2-normalized codebook are first brought to length 1, as the quantizer does, so
    that features and tokens are on one scale and no image counts more than another.

    Args:
        name: of the tokenizer.
        positions: where it is added; all by default.
        strongest: only at so many of these, where the sets differ most relative to their spread;
            0: at all of them.

    Raises:
        ValueError: tokens of another shape or without images, or two sets without a difference.
    """
    spec = tokenizer.spec
    for tokens, label in ((present, "tokens_with"), (absent, "tokens_without")):
        check_tokens(spec, tokens, label)
        if not len(tokens):
            raise ValueError(f"{label} has no image, expected 1 or more.")
    if spec.l2_normalized:
        present, absent = F.normalize(present, dim=-1), F.normalize(absent, dim=-1)
    difference = (present.mean(0) - absent.mean(0)).float().cpu()
    attribute = Attribute(
        difference=difference,
        shares=_shares(difference, present, absent),
        positions=tuple(range(spec.num_tokens)),
        counts=(len(present), len(absent)),
        names=names,
        tokenizer=name,
        tag=tokenizer_tag(tokenizer),
        unit_length=spec.l2_normalized,
    )
    chosen = attribute.positions if positions is None else sorted(positions)
    if strongest:
        chosen = sorted(attribute.strongest(chosen)[:strongest])
    if difference[list(chosen)].norm(dim=-1).max() < _ZERO:
        raise ValueError(
            "tokens_with and tokens_without have the same mean at the chosen positions, so there "
            "is nothing to transfer; connect images that differ in the attribute."
        )
    return replace(attribute, positions=tuple(chosen))


@python_numbers
def add_attribute(
    tokens: Tensor,
    attribute: Attribute,
    strength: float,
    positions: Sequence[int] | None = None,
) -> Tensor:
    """Features (b, n, d): `tokens` moved by `strength` times the attribute, not yet quantized.

    With a codebook of unit length a token keeps its own length and only turns: at strength 1 by the
    whole difference of the two sets. Positions that are not chosen stay exactly as they are.

    Args:
        strength: below 0 takes the attribute away.
        positions: others than the attribute's own.

    Raises:
        ValueError: tokens of another shape, or a strength that is no finite number.
    """
    if tuple(tokens.shape[1:]) != tuple(attribute.difference.shape):
        raise ValueError(
            f"tokens have shape {tuple(tokens.shape)} and the attribute "
            f"{tuple(attribute.difference.shape)}; expected tokens of the same tokenizer."
        )
    if not math.isfinite(strength):
        raise ValueError(f"strength is {strength}, expected a finite number such as 1 or -1.")
    chosen = torch.zeros(tokens.shape[1], 1, dtype=torch.bool)
    chosen[list(attribute.positions if positions is None else positions)] = strength != 0
    step = strength * attribute.difference.to(tokens)
    if attribute.unit_length:
        own = length(tokens)
        moved = F.normalize(tokens / own + step, dim=-1) * own
    else:
        moved = tokens + step
    return torch.where(send(chosen, tokens.device), moved, tokens)


def tokenizer_tag(tokenizer: Tokenizer) -> str:
    """Tells the tokenizer's weights from others of the same name."""
    return fingerprint(tokenizer)[:_TAG_BYTES].hex()


def _shares(difference: Tensor, present: Tensor, absent: Tensor) -> Tensor:
    """Variance between the two sets over all variance (n,), both sets weighing the same."""
    between = difference.square().sum(-1) / 4
    spread = [s.var(0, correction=0).sum(-1).cpu() for s in (present, absent) if len(s) > 1]
    within = sum(spread) / len(spread) if spread else torch.zeros_like(between)
    return between / (between + within).clamp(min=_ZERO**2)
