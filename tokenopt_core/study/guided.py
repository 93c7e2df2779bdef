"""Bayesian optimization over the codebook: which share of the codes to decode, when not all.

The loss as a function of the token at a position is far from linear: at the original L1 has a kink
and no gradient, and what is first order there says little about codes on the other side of the
sphere. So the search asks for no gradient, and any loss will do: it decodes codes that lie far
apart, fits a Gaussian process over the token space to their losses, decodes the codes with the
highest upper confidence bound, and fits again. Compared with other ways in docs/science/screen.md.

Axes: m codes, d token size.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

INITIAL_SHARE, ROUNDS = 0.4, 8  # of the budget, before and after the process is first fitted
LENGTH_SCALE = 0.57  # of the kernel, in median distances between codes
NOISE = 0.01  # variance of a loss, relative to that of all
EXPLORATION = 1.0  # standard deviations that are added to the mean
DISTANCE_SAMPLE = 512  # codes whose median distance is taken


def guided_search(
    score: Callable[[Tensor], Tensor], entries: Tensor, present: int, budget: int, batch: int
) -> tuple[Tensor, Tensor]:
    """`budget` codes (m,) and their scores (m,), chosen where the score is likely to be high.

    Args:
        score: codes (m,) -> what to maximize (m,).
        entries: (codebook size, d), all tokens.
        present: the code that is there now; it is never scored.
        batch: codes that are chosen at a time, at least.
    """
    length_scale = LENGTH_SCALE * median_distance(entries)
    codes = farthest_points(entries, present, max(2, min(budget, round(INITIAL_SHARE * budget))))
    scores = score(codes)
    step = max(batch, -(-(budget - len(codes)) // ROUNDS))
    while len(codes) < budget:
        bounds = upper_confidence_bounds(entries, length_scale, codes, scores)
        bounds[codes] = -torch.inf
        bounds[present] = -torch.inf
        following = bounds.topk(min(step, budget - len(codes))).indices
        scores = torch.cat((scores, score(following)))
        codes = torch.cat((codes, following))
    return codes, scores


def farthest_points(entries: Tensor, start: int, count: int) -> Tensor:
    """Codes (count,) by farthest point sampling: each the farthest from `start` and all before."""
    nearest = (entries - entries[start]).square().sum(-1)
    nearest[start] = -1
    chosen = []
    for _ in range(min(count, len(entries) - 1)):
        chosen.append(int(nearest.argmax()))
        distance = (entries - entries[chosen[-1]]).square().sum(-1)
        nearest = torch.minimum(nearest, distance)
        nearest[chosen[-1]] = -1
    return torch.tensor(chosen)


def median_distance(entries: Tensor) -> float:
    """The median distance between codes."""
    sample = entries[:: max(1, len(entries) // DISTANCE_SAMPLE)]
    return max(torch.pdist(sample).median().item(), 1e-12)


def upper_confidence_bounds(
    entries: Tensor, length_scale: float, codes: Tensor, scores: Tensor
) -> Tensor:
    """Mean plus standard deviation of the fitted process at every code, in standard deviations of
    the scores.

    Args:
        codes: (m,), those with known scores (m,).
    """
    finite = scores.isfinite()
    worst = scores[finite].min() if finite.any() else torch.zeros(())
    scores = torch.where(finite, scores, worst)
    scores = (scores - scores.mean()) / scores.std().clamp(min=1e-12)
    covariance = _kernel(entries, entries[codes], length_scale)  # (codebook size, m)
    root = torch.linalg.cholesky(covariance[codes] + NOISE * torch.eye(len(codes)))
    mean = covariance @ torch.cholesky_solve(scores[:, None], root).squeeze(1)
    explained = torch.linalg.solve_triangular(root, covariance.T, upper=False).square().sum(0)
    return mean + EXPLORATION * (1 + NOISE - explained).clamp(min=0).sqrt()


def _kernel(first: Tensor, second: Tensor, length_scale: float) -> Tensor:
    """The squared exponential kernel between two sets of tokens."""
    return torch.exp(torch.cdist(first, second).square() / (-2 * length_scale**2))
