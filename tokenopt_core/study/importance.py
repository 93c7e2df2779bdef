"""Token positions that carry a property: statistics over images that have it and that do not.

arXiv 2506.08257, section 3.1, equation 1 and appendix B: images are partitioned into classes, and
a position matters for the partition if the mean token of the classes differs there. The causal
counterpart replaces the tokens of a position and measures how often the class changes.

Axes: b images, c classes, n tokens, d token size, p texts, s = the tokenizer's image size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..checks import python_numbers
from ..compute.memory import Progress
from ..tokenizers import Tokenizer
from .replacement import measure_replacements, other_codes

REPLACEMENTS = ("mean", "random")
SHUFFLES = 200  # of the classes, for the scores that chance gives
CHANCE_QUANTILE = 0.95


@dataclass(frozen=True)
class Importance:
    """How much a partition of images tells about the token at each position.

    Args:
        scores: (n,) from 0 to 1: the share of a position's variance that lies between the classes.
        chance: with classes dealt out at random the best of all positions stays below this score 19
            times of 20.
        counts: images in each class.
    """

    scores: Tensor
    chance: float
    counts: tuple[int, ...]

    def best(self, k: int) -> list[int]:
        """The k positions with the highest scores, the highest first."""
        return self.scores.argsort(descending=True, stable=True)[:k].tolist()


class Responses(NamedTuple):
    """The effect of replacing the token at each position.

    Args:
        change: (n,) mean absolute change of the image, from 0 to 1.
        before: (b, p) what `evaluate` gives for the original images.
        after: (n, b, p) the same with the position's token replaced.
    """

    change: Tensor
    before: Tensor
    after: Tensor

    def class_changes(self, texts: slice) -> tuple[Tensor, Tensor]:
        """Share of images (n,) whose class among `texts` changes, and by how much their similarity
        with their class falls on average (n,)."""
        before, after = self.before[:, texts], self.after[..., texts]
        classes = before.argmax(-1)
        changed = (after.argmax(-1) != classes).float().mean(1)
        own = classes.unsqueeze(-1)
        kept = after.gather(-1, own.expand(len(after), -1, -1)).squeeze(-1)  # (n, b)
        return changed, (before.gather(-1, own).squeeze(-1) - kept).mean(1)


@torch.no_grad()
def importance(tokens: Tensor, classes: Tensor, count: int) -> Importance:
    """The variance of the class means of each position (equation 1), as a share of all its variance
    so that positions compare. All classes weigh the same, however many images they have.

    Args:
        tokens: (b, n, d) as the decoder gets them: of unit length where the codebook is.
        classes: (b,) from 0 to count - 1.

    Raises:
        ValueError: fewer than 2 images or classes, or a class without images.
    """
    if len(tokens) < 2 or count < 2:
        raise ValueError(
            f"{len(tokens)} images in {count} classes: expected at least 2 of both to compare."
        )
    counts = torch.bincount(classes, minlength=count)
    if len(counts) > count or not counts.all():
        raise ValueError(f"the classes have {counts.tolist()} images: expected one in each.")
    generator = torch.Generator().manual_seed(0)
    best = []
    for _ in range(SHUFFLES):
        order = torch.randperm(len(classes), generator=generator)
        best.append(_between_share(tokens, classes[order], count).max())
    chance = torch.stack(best).quantile(CHANCE_QUANTILE).item()
    return Importance(_between_share(tokens, classes, count), chance, tuple(counts.tolist()))


def _between_share(tokens: Tensor, classes: Tensor, count: int) -> Tensor:
    """Variance between classes over the sum of that and the variance within, (n,)."""
    member = F.one_hot(classes, count).to(tokens)  # (b, c)
    weight = (member / member.sum(0)).T  # (c, b)
    means = (weight @ tokens.flatten(1)).view(count, *tokens.shape[1:])  # (c, n, d)
    within = weight @ tokens.square().sum(-1) - means.square().sum(-1)  # (c, n)
    between = (means - means.mean(0)).square().sum(-1).mean(0)
    total = between + within.mean(0).clamp(min=0)
    return torch.where(total > 1e-12, between / total.clamp(min=1e-12), torch.zeros_like(total))


@python_numbers
@torch.no_grad()
def responses(
    tokenizer: Tokenizer,
    tokens: Tensor,
    evaluate: Callable[[Tensor], Tensor],
    *,
    by: str = "mean",
    seed: int = 0,
    batch: int = 64,
    progress: Progress | None = None,
) -> Responses:
    """The effect of replacing the token at one position, for each position by itself.

    Args:
        tokens: (b, n, d), quantized.
        evaluate: images (., 3, s, s) in [0, 1] -> (., p), for example similarities with texts.
        by: "mean": the code nearest to the mean over the images (VAE: the mean itself);
            "random": another code, drawn for each image.
        seed: image k has seed + k.
        batch: how many images are decoded at once; fewer where memory does not suffice.

    Raises:
        ValueError: unknown `by`, or random codes of a VAE.
    """
    if by not in REPLACEMENTS:
        raise ValueError(f"by is {by!r}: expected one of {', '.join(REPLACEMENTS)}.")
    device = tokenizer.weights_device
    tokens = tokens.to(device)
    if by == "random":
        codes = other_codes(tokenizer, tokens, 1, seed)[:, 0].to(device)
        replacements = tokenizer.lookup(codes)  # (b, n, d)
    else:
        mean = tokenizer.quantize(tokens.mean(0, keepdim=True)).tokens
        replacements = mean.expand_as(tokens)
    positions = torch.arange(tokens.shape[1])
    change = torch.zeros(len(positions), device=device)
    before, after = [], []
    measured = measure_replacements(
        tokenizer, tokens, positions, replacements, partial(_response, evaluate), batch, progress
    )
    for original, chunks in measured:
        before.append(evaluate(original)[0].cpu())
        values = []
        for rows, (changes, chunk_values) in chunks:
            change[rows] += changes
            values.append(chunk_values)
        after.append(torch.cat(values))
    return Responses(change.cpu() / len(tokens), torch.stack(before), torch.stack(after, 1))


def _response(
    evaluate: Callable[[Tensor], Tensor], original: Tensor, edited: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean absolute change of each image (v,), and what `evaluate` gives for it (v, p)."""
    return (edited - original).abs().mean((1, 2, 3)), evaluate(edited).cpu()
