"""The ways to choose a share of the codes, each on a case whose losses are all known."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenopt_core import ClipLoss, MaskedL1Loss, Tokenizer, load_guide
from tokenopt_core.study.candidates import Looker
from tokenopt_core.study.guided import PROBES, far_apart, guided_search, taylor

BATCH = 16
STEP = 0.05  # of the finite differences, where tokens have length 1
NOISE = 0.3  # of the perturbed point


class Case(NamedTuple):
    """One position of one image.

    Args:
        codes: (n,) of the image.
        pool: (m,) codes that take part; the present one may be among them.
        losses: by kind (m,): "l1" is to be maximized, "clip" minimized.
        prompt: of the CLIP loss.
    """

    tokenizer: Tokenizer
    codes: Tensor
    position: int
    pool: Tensor
    losses: dict[str, Tensor]
    prompt: str | None

    def goodness(self, kind: str) -> Tensor:
        """What to maximize (m,); the present code never wins."""
        values = self.losses[kind] * (1 if kind == "l1" else -1)
        return torch.where(self.pool == self.codes[self.position], -torch.inf, values)

    def entries(self) -> Tensor:
        """Tokens of the pool, and behind them the present one, (m + 1, d)."""
        book = self.tokenizer.quantize.codebook().detach()
        return torch.cat((book[self.pool], book[self.codes[self.position]][None]))


def random_order(case: Case, kind: str) -> Tensor:
    """Codes in any order."""
    return torch.rand(len(case.pool), generator=torch.Generator().manual_seed(case.position))


def image_change(case: Case, kind: str) -> Tensor:
    """First order in the image: the L1 norm of J (code - present code), J by finite differences."""
    looker, entries = _looker(case, kind), case.entries()
    tokens = looker.tokens.repeat(entries.shape[1], 1, 1)
    tokens[:, case.position] += STEP * torch.eye(entries.shape[1])
    with torch.no_grad():
        changed = torch.cat([looker.tokenizer.decode(part) for part in tokens.split(BATCH)])
    slopes = ((changed.clamp(0, 1) - looker.original) / STEP).flatten(1)  # (d, pixels)
    steps = entries[:-1] - entries[-1]
    return torch.cat([(part @ slopes).abs().mean(1) for part in steps.split(128)])


def one_backward(case: Case, kind: str) -> Tensor:
    """First order in the loss, from the original; for L1, flat there, from a point beside it."""
    looker, entries = _looker(case, kind), case.entries()
    point = entries[-1]
    if kind == "l1":
        generator = torch.Generator().manual_seed(case.position)
        point = F.normalize(point + NOISE * torch.randn(len(point), generator=generator), dim=0)
    looker.entries = point[None]
    loss, gradient = looker.loss_and_gradient(torch.tensor([0]))
    sign = 1 if kind == "l1" else -1
    return sign * ((entries[:-1] - point) @ gradient[0])


def several_probes(case: Case, kind: str) -> Tensor:
    """The shipped `gradient`: expansions at codes that lie far apart, nearer ones first."""
    looker, entries = _looker(case, kind), case.entries()
    present = len(entries) - 1
    probes = torch.cat((torch.tensor([present]), far_apart(entries, present, PROBES)))
    looker.entries = entries
    hopes = taylor(entries, probes, *looker.loss_and_gradient(probes))[:-1]
    return hopes if kind == "l1" else -hopes


SCORES: dict[str, Callable[[Case, str], Tensor]] = {
    "random": random_order,
    "first order, image change": image_change,
    "first order, one backward": one_backward,
    "gradient (9 probes)": several_probes,
}


def guided(case: Case, kind: str, budget: int) -> Tensor:
    """Places in the pool that the shipped `guided` decodes."""
    known = torch.cat((case.goodness(kind), torch.tensor([-torch.inf])))
    entries = case.entries()
    tried, _ = guided_search(known.__getitem__, entries, len(entries) - 1, budget, BATCH)
    return tried


def _looker(case: Case, kind: str) -> Looker:
    looker = Looker(case.tokenizer, BATCH, torch.float32, None)
    looker.open(case.codes)
    looker.position = case.position
    if kind == "l1":
        looker.judges[torch.float32] = MaskedL1Loss(
            looker.original, torch.zeros_like(looker.original[:, :1])
        )
    else:
        looker.judges[torch.float32] = ClipLoss(_guide(), case.prompt, crops=0)
    return looker


@lru_cache(maxsize=1)
def _guide():
    return load_guide("demo")
