"""Methods that choose a share of the codes, each on a case whose losses are all known.

Axes: n tokens, d token size, m codes, s = the tokenizer's image size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from tokenopt_core import Tokenizer
from tokenopt_core.study.guided import guided_search

BATCH = 16
STEP = 0.05  # of the finite differences, where tokens have length 1


class Case(NamedTuple):
    """One position of one image.

    Args:
        codes: (n,) of the image.
        pool: (m,) codes that take part; the present one may be among them.
        losses: by kind (m,): "l1" is to be maximized, "clip" minimized.
    """

    tokenizer: Tokenizer
    codes: Tensor
    position: int
    pool: Tensor
    losses: dict[str, Tensor]

    def goodness(self, kind: str) -> Tensor:
        """What to maximize (m,); the present code never wins."""
        values = self.losses[kind] * (1 if kind == "l1" else -1)
        return torch.where(self.pool == self.codes[self.position], -torch.inf, values)

    def entries(self) -> Tensor:
        """Tokens of the pool, and behind them the present one, (m + 1, d)."""
        book = self.tokenizer.quantize.codebook().detach()
        return torch.cat((book[self.pool], book[self.codes[self.position]][None]))

    def tokens(self) -> Tensor:
        """Of the original image, (1, n, d)."""
        return self.tokenizer.lookup(self.codes[None])

    def original(self) -> Tensor:
        """The original image (1, 3, s, s)."""
        return decoded(self, self.tokens())


@torch.no_grad()
def decoded(case: Case, tokens: Tensor) -> Tensor:
    """Images (m, 3, s, s) in [0, 1] of tokens (m, n, d)."""
    chunks = [case.tokenizer.decode(chunk) for chunk in tokens.split(BATCH)]
    return torch.cat(chunks).clamp(0, 1)


def random_order(case: Case, kind: str) -> Tensor:
    """Codes in any order."""
    return torch.rand(len(case.pool), generator=torch.Generator().manual_seed(case.position))


def image_change(case: Case, kind: str) -> Tensor:
    """First order in the image: the L1 norm of J (code - present code), J by finite differences."""
    entries = case.entries()
    tokens = case.tokens().repeat(entries.shape[1], 1, 1)
    tokens[:, case.position] += STEP * torch.eye(entries.shape[1])
    slopes = ((decoded(case, tokens) - case.original()) / STEP).flatten(1)  # (d, pixels)
    steps = entries[:-1] - entries[-1]
    return torch.cat([(chunk @ slopes).abs().mean(1) for chunk in steps.split(128)])


def guided(case: Case, kind: str, budget: int) -> Tensor:
    """Places in the pool that the shipped `guided` decodes."""
    known = torch.cat((case.goodness(kind), torch.tensor([-torch.inf])))
    entries = case.entries()
    tried, _ = guided_search(known.__getitem__, entries, len(entries) - 1, budget, BATCH)
    return tried


SCORES: dict[str, Callable[[Case, str], Tensor]] = {
    "random": random_order,
    "first order, image change": image_change,
}
