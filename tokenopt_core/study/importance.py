"""Which tokens carry a property: statistics over images that have it and images that do not.

arXiv 2506.08257, section 3.1, equation 1 and appendix B: images are partitioned into classes, and
a position matters for the partition if the mean token of the classes differs there. The causal
counterpart replaces the tokens of a position and looks at what becomes of the class.

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
from ..compute.memory import Chunks, Progress
from ..tokenizers import Tokenizer
from .influence import other_codes, variations

REPLACEMENTS = ("mean", "random")
SHUFFLES = 200
_SHARE_BY_CHANCE = 0.95


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
    """What replacing the token at each position does.

    Args:
        change: (n,) mean absolute change of the image, from 0 to 1.
        before: (b, p) what `look` says of the images as they were.
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
    chance = torch.stack(best).quantile(_SHARE_BY_CHANCE).item()
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
    look: Callable[[Tensor], Tensor],
    *,
    by: str = "mean",
    seed: int = 0,
    batch: int = 64,
    progress: Progress | None = None,
) -> Responses:
    """What becomes of images when the token at one position is replaced, for each position.

    Args:
        tokens: (b, n, d), quantized.
        look: images (., 3, s, s) in [0, 1] -> (., p), for example similarities with texts.
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
    count = tokens.shape[1]
    positions, total = torch.arange(count), len(tokens) * count
    change = torch.zeros(count, device=device)
    before, after = [], []
    chunk_size = Chunks(batch)
    for k, (image, values) in enumerate(zip(tokens, replacements, strict=True)):
        shown = tokenizer.decode(image[None]).clamp(0, 1)
        before.append(look(shown)[0].cpu())
        looks = []
        measure = partial(_response, look, shown)
        for rows, (changes, seen) in variations(
            tokenizer, image, positions, values, chunk_size, measure
        ):
            change[rows] += changes
            looks.append(seen)
            if progress:
                progress(k * count + rows.stop, total)
        after.append(torch.cat(looks))
    return Responses(change.cpu() / len(tokens), torch.stack(before), torch.stack(after, 1))


def _response(
    look: Callable[[Tensor], Tensor], before: Tensor, after: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean absolute change of each image (v,), and what `look` says of it (v, p)."""
    return (after - before).abs().mean((1, 2, 3)), look(after).cpu()
