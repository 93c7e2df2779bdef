"""Edits of a few tokens: copied from another image, blended with it, or set by hand.

Copying single tokens carries one property of an image into another (arXiv 2506.08257, section 3.1).

Axes: b images, n tokens, d token size, k strengths.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real

import torch
from torch import Tensor
from torch.nn import functional as F

from ..checks import shortened, shown
from ..compute.seeds import send
from ..tokenizers import Tokenizer, TokenizerSpec

Positions = Sequence[int] | Tensor  # the same for all images, or true in (b or 1, n)

_CODE = re.compile(r"([+-]?[0-9]{1,18})\s*[:=]\s*([+-]?[0-9]{1,18})")
_SMALLEST_SINE = 1e-4  # of the angle between two tokens; below it they lie on one line


def copy_tokens(target: Tensor, reference: Tensor, positions: Positions) -> Tensor:
    """The target (b, n, d) with the reference's tokens at some positions; both stay as they are.

    Args:
        target, reference: (b, n, d) of one tokenizer; a batch of one serves all images of the
            other.

    Raises:
        ValueError: the two do not fit together.
    """
    target, reference = paired(target, reference)
    return torch.where(_chosen(positions, target)[..., None], reference, target)


def blend_tokens(
    target: Tensor,
    reference: Tensor,
    positions: Positions,
    strengths: Sequence[float],
    *,
    directions: bool,
) -> Tensor:
    """Tokens (b * k, n, d) on the way from target to reference, all strengths of an image in a row.

    Args:
        target, reference, positions: as for `copy_tokens`.
        strengths: k numbers from 0 (the target, to the last bit) to 1 (the reference's tokens).
        directions: for tokenizers whose codebook compares directions only (`l2_normalized`): the
            tokens turn at an even pace along the shortest arc while their length changes evenly.
            Otherwise they move on a straight line. Lengths have no meaning there, so that on a
            straight line the longer token would win early.

    Raises:
        ValueError: a strength outside 0 to 1 or NaN, or the two do not fit together.
    """
    for strength in strengths:
        if not (isinstance(strength, Real) and 0 <= strength <= 1):  # NaN too
            raise ValueError(
                f"strength is {shown(strength)}, expected a number from 0 (the target) to 1 (the "
                "reference)."
            )
    target, reference = paired(target, reference)
    chosen = _chosen(positions, target)[..., None]
    between = _arc if directions else torch.lerp
    steps = [
        torch.where(chosen, between(target, reference, strength), target)
        if 0 < strength < 1
        else torch.where(chosen, reference if strength else target, target)
        for strength in map(float, strengths)
    ]
    return torch.stack(steps, dim=1).flatten(0, 1)  # (b, k, n, d) -> (b * k, n, d)


def morph_strengths(strength: float, steps: int) -> list[float]:
    """`steps` strengths from 0 to `strength`, evenly spaced; `strength` alone for one step."""
    return [strength] if steps == 1 else [strength * i / (steps - 1) for i in range(steps)]


def parse_codes(text: str, spec: TokenizerSpec, name: str = "codes") -> dict[int, int]:
    """Code by position of a text such as "3: 417, 7: 12".

    Args:
        name: of the input, for messages.

    Raises:
        ValueError: not of this form, a position or code that the tokenizer does not have, or a
            position that is there twice.
    """
    if spec.codebook_size is None:
        raise ValueError(
            f"tokenizer {spec.name!r} is a VAE, which has no codes to set; choose one with a "
            "codebook (a name without 'vae')."
        )
    expected = f"positions 0 to {spec.num_tokens - 1} and codes 0 to {spec.codebook_size - 1}"
    codes: dict[int, int] = {}
    for part in (part.strip() for part in re.split(r"[,;\n]", text)):
        match = _CODE.fullmatch(part)
        if part and match is None:
            raise ValueError(
                f"{name} contains {shortened(part)!r}, expected 'position: code' such as "
                f"'3: 417, 7: 12', with {expected}."
            )
        if match is None:
            continue
        position, code = int(match[1]), int(match[2])
        if not (0 <= position < spec.num_tokens and 0 <= code < spec.codebook_size):
            raise ValueError(f"{name} contains {part!r}, expected {expected}.")
        if position in codes:
            raise ValueError(f"{name} sets position {position} twice; keep one of the two.")
        codes[position] = code
    if not codes:
        raise ValueError(
            f"{name} is {shortened(text)!r}, expected 'position: code' such as '3: 417, 7: 12', "
            f"with {expected}."
        )
    return codes


def set_codes(tokens: Tensor, codes: Mapping[int, int], tokenizer: Tokenizer) -> Tensor:
    """Tokens (b, n, d) with codebook entries at the positions of `codes`, in every image."""
    positions = _checked(codes, tokenizer.spec.num_tokens)
    row = torch.zeros(1, tokenizer.spec.num_tokens, dtype=torch.long)
    for position in positions:
        row[0, position] = codes[position]
    entries = tokenizer.lookup(row.to(tokenizer.weights_device)).to(tokens)
    return copy_tokens(tokens, entries, positions)


def positions_of_mask(mask: Tensor, num_tokens: int) -> Tensor:
    """Which positions (b, n) a mask (b, h, w) in [0, 1] chooses: its columns are the tokens, from
    left to right, and a token is chosen where more than half of its columns is white."""
    columns = mask.float().mean(1, keepdim=True)  # (b, 1, w)
    return F.adaptive_avg_pool1d(columns, num_tokens)[:, 0] > 0.5


def paired(target: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Both (b, n, d) with the same batch; raises ValueError if they do not fit together."""
    for name, tokens in (("target", target), ("reference", reference)):
        if tokens.ndim != 3:
            raise ValueError(f"{name} has shape {tuple(tokens.shape)}, expected (b, n, d).")
    if target.shape[1:] != reference.shape[1:]:
        sizes = [" x ".join(map(str, tokens.shape[1:])) for tokens in (target, reference)]
        raise ValueError(
            f"target has {sizes[0]} numbers per image and reference {sizes[1]}; expected tokens of "
            "one tokenizer."
        )
    if len(target) != len(reference) and 1 not in (len(target), len(reference)):
        raise ValueError(
            f"reference has {len(reference)} images and target {len(target)}; expected one for "
            "all, or one each."
        )
    batch = max(len(target), len(reference))
    return target.expand(batch, -1, -1), reference.expand(batch, -1, -1)


def _chosen(positions: Positions, tokens: Tensor) -> Tensor:
    """True at the positions, (b or 1, n)."""
    batch, count = tokens.shape[:2]
    if not isinstance(positions, Tensor):
        chosen = torch.zeros(1, count, dtype=torch.bool)
        chosen[:, _checked(positions, count)] = True
        return send(chosen, tokens.device)
    if positions.shape not in ((1, count), (batch, count)):
        raise ValueError(
            f"mask chooses positions for {len(positions)} images, but there are {batch}; expected "
            "one mask for all, or one each."
        )
    return positions.to(tokens.device)


def _checked(positions: Iterable[int], count: int) -> list[int]:
    """Positions as a list; raises ValueError if one of them is no token."""
    positions = list(positions)
    for position in positions:
        whole = isinstance(position, Integral) and not isinstance(position, bool)
        if not (whole and 0 <= position < count):
            raise ValueError(
                f"positions has {shown(position)}, expected whole numbers from 0 to {count - 1}."
            )
    return list(map(int, positions))


def _arc(target: Tensor, reference: Tensor, strength: float) -> Tensor:
    """Between two tokens on the shortest arc, with a length between theirs (b, n, d).

    Tokens on one line (equal, opposite or zero) have no arc of their own: straight there.
    """
    lengths = target.norm(dim=-1, keepdim=True), reference.norm(dim=-1, keepdim=True)
    begin, end = F.normalize(target, dim=-1), F.normalize(reference, dim=-1)
    angle = (begin * end).sum(-1, keepdim=True).clamp(-1, 1).acos()
    sine = angle.sin()
    on_line = (sine < _SMALLEST_SINE) | (lengths[0] == 0) | (lengths[1] == 0)
    sine = sine.masked_fill(on_line, math.inf)
    turned = ((1 - strength) * angle).sin() / sine * begin + (strength * angle).sin() / sine * end
    turned = turned * torch.lerp(*lengths, strength)
    return torch.where(on_line, torch.lerp(target, reference, strength), turned)
