"""Perturbation search: the codes that change an image most at one position, or suit a loss best.

arXiv 2506.08257, section 3.2, equation 2: of all codes at a position the one that maximizes the L1
distance between the edited and the original image. Here any loss may take L1's place, a mask may
limit what counts, and part of the codebook may be searched, see `.guided`.

Axes: b images, n tokens, d token size, m codes that are compared, k results, s = the tokenizer's
image size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ..checks import convert_fields
from ..compute.memory import Progress
from ..compute.seeds import image_seeds
from ..images.masks import check_mask
from ..losses.base import LossFunction
from ..tokenizers import Tokenizer
from ..tokenizers.base import check_codes
from .candidates import Evaluator, Original, make_evaluator, make_original
from .guided import guided_search

METHODS = ("exact", "guided")
FORMER_METHODS = ("gradient",)  # in saved workflows and older programs: read as "guided"
LEAST_BUDGET = 8  # codes that even the smallest share compares
SPARE = 32  # codes beyond the results that are ranked again in float32


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How to search.

    Args:
        top_k: results of each position; fewer where the codebook has fewer other codes.
        maximize: the largest loss is the best, as in equation 2; False: the smallest.
        method: "exact" decodes every code, "guided" a share of them: it chooses the next ones by
            the losses of those before.
        share: of the codebook, for "guided"; above 0 and up to 1.
        batch: how many images are decoded at once; memory grows with it and with nothing else.
        dtype: of decoding while comparing. What is returned is decoded and ranked in float32.
    """

    top_k: int = 1
    maximize: bool = True
    method: str = "exact"
    share: float = 0.1
    batch: int = 16
    dtype: torch.dtype = torch.float32

    def __post_init__(self):
        convert_fields(self)
        if self.method in FORMER_METHODS:
            object.__setattr__(self, "method", "guided")
        if self.method not in METHODS:
            raise ValueError(f"method is {self.method!r}; expected one of: {', '.join(METHODS)}.")
        if not 0 < self.share <= 1:
            raise ValueError(f"share is {self.share}: expected a number above 0 and up to 1.")
        if self.top_k < 1 or self.batch < 1:
            raise ValueError(f"top_k is {self.top_k} and batch {self.batch}: expected 1 or more.")

    def budget(self, codebook_size: int) -> int:
        """How many codes are compared at each position; all but the present one at most."""
        others = codebook_size - 1
        if self.method == "exact":
            return others
        wanted = max(round(self.share * codebook_size), LEAST_BUDGET, self.top_k)
        return min(wanted, others)


@dataclass(frozen=True)
class Found:
    """The best replacements at one position of one image.

    Args:
        image, position: which.
        old_code: what is there now.
        before: the loss of the original; 0 for L1.
        codes, losses: (k,) on the CPU, the best first; of equal losses the lower code.
        images: (k, 3, s, s) in [0, 1] on the CPU.
        original: (3, s, s) on the CPU, one tensor for all results of an image.
        compared: how many codes were decoded to find them.
    """

    image: int
    position: int
    old_code: int
    before: float
    codes: Tensor
    losses: Tensor
    images: Tensor = field(repr=False)
    original: Tensor = field(repr=False)
    compared: int


def perturb_search(
    tokenizer: Tokenizer,
    codes: Tensor,
    positions: Sequence[int],
    config: SearchConfig | None = None,
    *,
    loss: LossFunction | Sequence[LossFunction] | None = None,
    mask: Tensor | None = None,
    seeds: int | Sequence[int] = 0,
    progress: Progress | None = None,
) -> Iterator[Found]:
    """For each image, and each position by itself, the best replacements, as they are found.

    Args:
        codes: (b, n) integers.
        loss: None: the mean absolute difference to the original image. Otherwise one loss for all
            images or one each; it gets any number of candidates of one image at a time, and sees
            them through the same random crops, as at the end of a run.
        mask: (1 or b, 1, s, s) in [0, 1]: what counts. L1 is the mean over that region; another
            loss sees the original outside of it.
        seeds: of the loss's random crops, as for `optimize`.
        progress: called with the number of codes done and of all; what it raises ends the search.

    Raises:
        ValueError: the tokenizer is a VAE, or an input does not fit.
    """
    config, spec = config or SearchConfig(), tokenizer.spec
    codes = check_codes(spec, codes)
    _check_positions(positions, len(codes), spec.num_tokens)
    losses = list(loss) if isinstance(loss, Sequence) else [loss] * len(codes)
    if len(losses) != len(codes):
        raise ValueError(f"{len(losses)} losses for {len(codes)} images: expected one each.")
    masks = _checked_masks(mask, len(codes), spec.image_size)
    seeds = image_seeds(seeds, len(codes))
    counts = _counts(config, spec.codebook_size)
    total = sum(counts) * len(codes) * len(positions)
    evaluator = make_evaluator(tokenizer, config.dtype, config.batch, total, progress)
    originals = (
        make_original(evaluator, *each) for each in zip(codes, losses, masks, seeds, strict=True)
    )
    return _searches(evaluator, originals, positions, config, counts)


class _Counts(NamedTuple):
    """How many codes of a position are compared, ranked again in float32, and returned."""

    compared: int
    ranked_again: int
    results: int


def _counts(config: SearchConfig, codebook_size: int) -> _Counts:
    compared, results = config.budget(codebook_size), min(config.top_k, codebook_size - 1)
    rounded = config.dtype != torch.float32
    return _Counts(compared, min(2 * results + SPARE, compared) if rounded else 0, results)


def _searches(
    evaluator: Evaluator,
    originals: Iterable[Original],
    positions: Sequence[int],
    config: SearchConfig,
    counts: _Counts,
) -> Iterator[Found]:
    """The search of every position of every image, one after the other."""
    for index, original in enumerate(originals):
        with torch.no_grad():
            before = original.losses[torch.float32](original.image).item()
        image = original.image[0].cpu()
        for position in map(int, positions):
            best = _search(evaluator, original, position, config, counts)
            old_code = int(original.codes[position])
            yield Found(index, position, old_code, before, *best, image, counts.compared)


@torch.no_grad()
def _search(
    evaluator: Evaluator, original: Original, position: int, config: SearchConfig, counts: _Counts
) -> tuple[Tensor, Tensor, Tensor]:
    """The best replacements (k,) at a position, their losses (k,) and their images
    (k, 3, s, s)."""
    sign = 1 if config.maximize else -1

    def score(codes: Tensor, dtype: torch.dtype = config.dtype) -> Tensor:
        """What to maximize (m,)."""
        return sign * evaluator.losses(original, position, codes, dtype)

    present, size = int(original.codes[position]), len(evaluator.entries)
    if counts.compared == size - 1:
        codes = torch.tensor([code for code in range(size) if code != present])
        scores = score(codes)
    else:
        entries = evaluator.entries.float().cpu()
        codes, scores = guided_search(score, entries, present, counts.compared, config.batch)
    if counts.ranked_again:
        codes, _ = _highest(codes, scores, counts.ranked_again)
        scores = score(codes, torch.float32)
    codes, scores = _highest(codes, scores, counts.results)
    finite = scores.isfinite()
    if not finite.any():
        raise ValueError(
            f"the loss is no finite number for any code at position {position}: check the "
            "connected loss, and the image that it compares with."
        )
    codes, scores = codes[finite], scores[finite]
    return codes, sign * scores, evaluator.images(original, position, codes)


def _highest(codes: Tensor, scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` codes with the highest scores, and those scores; of equal ones the lower code
    comes first, and what is no finite number last."""
    by_code = codes.argsort()
    codes, scores = codes[by_code], scores[by_code]
    comparable = torch.where(scores.isfinite(), scores, -torch.inf)
    order = comparable.argsort(descending=True, stable=True)[:count]
    return codes[order], scores[order]


def _check_positions(positions: Sequence[int], images: int, num_tokens: int) -> None:
    outside = [position for position in positions if not 0 <= position < num_tokens]
    if outside or not len(positions) or not images:
        raise ValueError(
            f"{images} images at positions {list(positions)}: expected one or more of both, "
            f"positions from 0 to {num_tokens - 1}."
        )


def _checked_masks(mask: Tensor | None, count: int, size: int) -> list[Tensor | None]:
    """One mask (1, 1, s, s) or None for each image."""
    if mask is None:
        return [None] * count
    check_mask(mask, (size, size))
    if len(mask) not in (1, count):
        raise ValueError(f"mask has {len(mask)} images for {count}: expected one, or one each.")
    if not mask.flatten(1).any(1).all():
        raise ValueError(
            "mask is 0 everywhere, so no pixel counts: expected 1 (white) where changes count."
        )
    return list(mask.expand(count, -1, -1, -1).split(1))
