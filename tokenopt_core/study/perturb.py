"""The codes that change an image most at one position, or serve a loss best: a search.

arXiv 2506.08257, section 3.2, equation 2: of all codes at a position the one that maximizes the L1
distance between the edited and the original image. Here any loss may take L1's place, a mask may
limit what counts, and the codebook may be looked through in part, see `.perturb_screen`.

Axes: b images, n tokens, d token size, m codes that are compared, k results, s = the tokenizer's
image size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..checks import convert_fields
from ..compute.memory import Progress
from ..compute.seeds import image_seeds
from ..images.masks import check_mask
from ..losses.base import LossFunction, as_loss
from ..losses.masked import MaskedComposite, MaskedL1Loss
from ..tokenizers import Tokenizer
from ..tokenizers.base import check_codes
from .candidates import Looker
from .guided import gradient_search, guided_search

METHODS = ("exact", "guided", "gradient")
LEAST_BUDGET = 8  # codes that even the smallest share compares


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How to search.

    Args:
        top_k: results of each position; fewer where the codebook has fewer other codes.
        maximize: the largest loss is the best, as in equation 2; False: the smallest.
        method: "exact" decodes every code. "guided" and "gradient" decode a share of them:
            the first learns from what it has decoded where to look next, the second chooses by
            gradients at a few codes.
        share: of the codebook, for these two; above 0 and up to 1.
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
        loss: None: the mean absolute difference to the original image. Else one loss for all
            images or one each; it sees any number of candidates of one image at a time, through
            the same random crops, as at the end of a run.
        mask: (1 or b, 1, s, s) in [0, 1]: what counts. L1 is the mean over that region; another
            loss sees the original outside of it.
        seeds: of the loss's random crops, as for `optimize`.
        progress: called with the number of codes done and of all; what it raises ends the search.

    Raises:
        ValueError: the tokenizer is a VAE, or an input does not fit.
    """
    config, spec = config or SearchConfig(), tokenizer.spec
    codes = check_codes(spec, codes)
    outside = [position for position in positions if not 0 <= position < spec.num_tokens]
    if outside or not len(positions) or not len(codes):
        raise ValueError(
            f"{len(codes)} images at positions {list(positions)}: expected one or more of both, "
            f"positions from 0 to {spec.num_tokens - 1}."
        )
    losses = list(loss) if isinstance(loss, Sequence) else [loss] * len(codes)
    if len(losses) != len(codes):
        raise ValueError(f"{len(losses)} losses for {len(codes)} images: expected one each.")
    masks = _checked_masks(mask, len(codes), spec.image_size)
    seeds = image_seeds(seeds, len(codes))
    looker = Looker(tokenizer, config.batch, config.dtype, progress)
    results = min(config.top_k, spec.codebook_size - 1)
    budget = config.budget(spec.codebook_size)
    each = budget + looker.finalists(results, budget) + results
    looker.total = each * len(codes) * len(positions)
    return _found(looker, codes, positions, config, losses, masks, seeds)


def _found(
    looker: Looker,
    codes: Tensor,
    positions: Sequence[int],
    config: SearchConfig,
    judges: Sequence[LossFunction | None],
    masks: Sequence[Tensor | None],
    seeds: Sequence[int],
) -> Iterator[Found]:
    """The loops over images and positions."""
    for image, row in enumerate(codes):
        looker.open(row)
        for dtype in {torch.float32, config.dtype}:
            looker.judges[dtype] = _judge(
                judges[image], masks[image], looker.original, seeds[image], dtype
            )
        with torch.no_grad():
            before = looker.judges[torch.float32](looker.original).item()
        original = looker.original[0].cpu()
        for position in positions:
            looker.position, old = int(position), int(row[position])
            codes, losses, edited = _best(looker, old, config)
            compared = config.budget(len(looker.entries))
            yield Found(
                image, looker.position, old, before, codes, losses, edited, original, compared
            )


@torch.no_grad()
def _best(looker: Looker, old: int, config: SearchConfig) -> tuple[Tensor, Tensor, Tensor]:
    """The best replacements (k,) at the looker's position, their losses (k,) and their images
    (k, 3, s, s)."""
    sign, size = (1 if config.maximize else -1), len(looker.entries)
    budget, k = config.budget(size), min(config.top_k, size - 1)

    def good(candidates: Tensor) -> Tensor:
        """What to maximize (m,)."""
        return sign * looker.losses(candidates)

    if budget == size - 1:
        candidates = torch.tensor([code for code in range(size) if code != old])
        values = good(candidates)
    elif config.method == "guided":
        entries = looker.entries.float().cpu()
        candidates, values = guided_search(good, entries, old, budget, config.batch)
    else:
        candidates = gradient_search(looker, old, budget, sign)
        values = good(candidates)
    order = ranking(candidates, values)
    if looker.rounded:
        candidates = candidates[order[: looker.finalists(k, budget)]]
        values = sign * looker.losses(candidates, exactly=True)
        order = ranking(candidates, values)
    best = candidates[order[:k]]
    values = values[order[:k]]
    if not values.isfinite().any():
        raise ValueError(
            f"the loss is no finite number for any code at position {looker.position}: check the "
            "connected loss, and the image that it compares with."
        )
    best, values = best[values.isfinite()], values[values.isfinite()]
    return best, sign * values, looker.images(best)


def ranking(candidates: Tensor, values: Tensor) -> Tensor:
    """Places (m,) of the candidates, the highest value first; of equal ones the lower code, and
    what is no number last."""
    by_code = candidates.argsort()
    values = torch.where(values.isfinite(), values, torch.full_like(values, -torch.inf))[by_code]
    return by_code[values.argsort(descending=True, stable=True)]


def _judge(
    loss: LossFunction | None, mask: Tensor | None, original: Tensor, seed: int, dtype: torch.dtype
) -> LossFunction:
    """Images (m, 3, s, s), all of them candidates of one image, -> loss (m,), asked in `dtype`."""
    if loss is None:
        counts = torch.ones_like(original[:, :1]) if mask is None else mask.to(original)
        judge = MaskedL1Loss(original, 1 - counts)
    else:
        judge = as_loss(loss).cast(dtype)
        if mask is not None:
            judge = MaskedComposite(judge, original, mask.to(original))

    def look(images: Tensor) -> Tensor:
        values = judge.seeded([seed] * len(images)).at(1.0)(images)
        if not isinstance(values, Tensor) or values.shape != images.shape[:1]:
            shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise ValueError(
                f"the loss gave {shape} for {len(images)} images: expected one number per image, "
                f"({len(images)},)."
            )
        return values.float()

    return look


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
