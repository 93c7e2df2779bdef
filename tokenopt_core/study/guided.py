"""Which share of the codes to decode, when not all of them.

The loss as a function of the token at a position is far from linear: at the original L1 has a kink
and no gradient, and what is first order there says little about codes on the other side of the
sphere. Two ways around that, compared in docs/science/screen.md:

`guided_search`: decode codes that lie far apart, fit a Gaussian process over the token space to
    their losses, decode what it finds promising, and again. No gradient, so any loss will do.
`gradient_search`: the loss and its gradient at a few codes that lie far apart; every code is
    predicted by the linear expansions (gradient times code difference) from those, nearer ones
    weighted more.

Axes: m codes, d token size.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .candidates import Looker

FIRST_SHARE, ROUNDS = 0.4, 8  # of the budget, before and after the process is fitted
REACH = 0.57  # the kernel's length in typical distances between codes
NOISE, CURIOSITY = 0.01, 1.0  # relative variance of a loss; standard deviations on top of the mean
PROBES = 8
_SAMPLE = 512  # codes that tell the typical distance


def guided_search(
    good: Callable[[Tensor], Tensor], entries: Tensor, old: int, budget: int, batch: int
) -> tuple[Tensor, Tensor]:
    """`budget` codes (m,) and what `good` says of them (m,), looked for where it is high.

    Args:
        good: codes (m,) -> what to maximize (m,).
        entries: (codebook size, d), all tokens.
        old: the present code, which is never asked about.
        batch: codes that are chosen at a time, at least.
    """
    reach = REACH * typical_distance(entries)
    tried = far_apart(entries, old, max(2, min(budget, round(FIRST_SHARE * budget))))
    values = good(tried)
    step = max(batch, -(-(budget - len(tried)) // ROUNDS))
    while len(tried) < budget:
        hopes = _hopes(entries, reach, tried, values)
        hopes[tried] = -torch.inf
        hopes[old] = -torch.inf
        following = hopes.topk(min(step, budget - len(tried))).indices
        values = torch.cat((values, good(following)))
        tried = torch.cat((tried, following))
    return tried, values


def gradient_search(looker: Looker, old: int, budget: int, sign: int) -> Tensor:
    """The `budget` codes (m,) with the highest predicted loss, times `sign`."""
    entries = looker.entries.float().cpu()
    probes = torch.cat((torch.tensor([old]), far_apart(entries, old, PROBES)))
    losses, gradients = looker.loss_and_gradient(probes)
    hopes = sign * taylor(entries, probes, losses, gradients)
    hopes[old] = -torch.inf
    return hopes.topk(budget).indices


def taylor(entries: Tensor, probes: Tensor, losses: Tensor, gradients: Tensor) -> Tensor:
    """The loss of every code as the probes' linear expansions predict it, nearer ones first.

    Args:
        probes: codes (m,); `losses` (m,) and `gradients` (m, d) are theirs.
    """
    steps = entries - entries[probes][:, None]  # (m, codebook size, d)
    linear = losses[:, None] + (steps @ gradients[..., None]).squeeze(-1)
    reach = REACH * typical_distance(entries)
    weights = torch.softmax(-steps.square().sum(-1) / (2 * reach**2), 0)
    return (weights * linear).sum(0)


def far_apart(entries: Tensor, start: int, count: int) -> Tensor:
    """Codes (count,), each the farthest from `start` and those before it."""
    nearest = (entries - entries[start]).square().sum(-1)
    nearest[start] = -1
    chosen = []
    for _ in range(min(count, len(entries) - 1)):
        chosen.append(int(nearest.argmax()))
        distance = (entries - entries[chosen[-1]]).square().sum(-1)
        nearest = torch.minimum(nearest, distance)
        nearest[chosen[-1]] = -1
    return torch.tensor(chosen)


def typical_distance(entries: Tensor) -> float:
    """The median distance between codes."""
    some = entries[:: max(1, len(entries) // _SAMPLE)]
    return max(torch.pdist(some).median().item(), 1e-12)


def _hopes(entries: Tensor, reach: float, tried: Tensor, values: Tensor) -> Tensor:
    """For every code the process's mean plus its standard deviation, in those of `values`."""
    finite = values.isfinite()
    worst = values[finite].min() if finite.any() else torch.zeros(())
    values = torch.where(finite, values, worst)
    values = (values - values.mean()) / values.std().clamp(min=1e-12)
    kernel = _kernel(entries, entries[tried], reach)  # (codebook size, m)
    root = torch.linalg.cholesky(kernel[tried] + NOISE * torch.eye(len(tried)))
    mean = kernel @ torch.cholesky_solve(values[:, None], root).squeeze(1)
    known = torch.linalg.solve_triangular(root, kernel.T, upper=False).square().sum(0)
    return mean + CURIOSITY * (1 + NOISE - known).clamp(min=0).sqrt()


def _kernel(first: Tensor, second: Tensor, reach: float) -> Tensor:
    return torch.exp(torch.cdist(first, second).square() / (-2 * reach**2))
