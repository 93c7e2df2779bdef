"""Methods that choose a share of the codes, each on a case whose losses are all known.

Axes: n tokens, d token size, m codes, s = the tokenizer's image size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenopt_core import ClipLoss, Guide, Loss, MaskedL1Loss, Tokenizer, load_guide
from tokenopt_core.study.guided import far_apart, guided_search, typical_distance

BATCH = 16
PROBES = 8  # codes beside the present one at which the loss is expanded
LENGTH_SCALE = 0.57  # of the expansions' weights, in typical distances between codes
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

    def tokens(self) -> Tensor:
        """Of the original image, (1, n, d)."""
        return self.tokenizer.lookup(self.codes[None])

    def original(self) -> Tensor:
        """The original image (1, 3, s, s)."""
        return decoded(self, self.tokens())

    def loss(self, kind: str) -> Loss:
        """What `losses` of this kind were measured by."""
        if kind == "clip":
            return ClipLoss(_guide(), self.prompt, crops=0)
        image = self.original()
        return MaskedL1Loss(image, torch.zeros_like(image[:, :1]))


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


def one_backward(case: Case, kind: str) -> Tensor:
    """First order in the loss, from the original; for L1, flat there, from a point beside it."""
    entries = case.entries()
    point = entries[-1]
    if kind == "l1":
        generator = torch.Generator().manual_seed(case.position)
        point = F.normalize(point + NOISE * torch.randn(len(point), generator=generator), dim=0)
    _, gradient = loss_and_gradient(case, kind, point[None])
    sign = 1 if kind == "l1" else -1
    return sign * ((entries[:-1] - point) @ gradient[0])


def several_probes(case: Case, kind: str) -> Tensor:
    """Linear expansions at codes that lie far apart, the nearer ones weighted more."""
    entries = case.entries()
    present = len(entries) - 1
    probes = torch.cat((torch.tensor([present]), far_apart(entries, present, PROBES)))
    losses, gradients = loss_and_gradient(case, kind, entries[probes])
    steps = entries - entries[probes][:, None]  # (probes, m + 1, d)
    linear = losses[:, None] + (steps @ gradients[..., None]).squeeze(-1)
    length = LENGTH_SCALE * typical_distance(entries)
    weights = torch.softmax(-steps.square().sum(-1) / (2 * length**2), 0)
    predicted = (weights * linear).sum(0)[:-1]
    return predicted if kind == "l1" else -predicted


def loss_and_gradient(case: Case, kind: str, points: Tensor) -> tuple[Tensor, Tensor]:
    """The loss (m,) with each of the points (m, d) as the token, and its gradient there (m, d)."""
    points = points.detach().clone().requires_grad_()
    tokens = case.tokens().repeat(len(points), 1, 1)
    tokens[:, case.position] = points
    loss = case.loss(kind)(case.tokenizer.decode(tokens).clamp(0, 1))
    (gradient,) = torch.autograd.grad(loss.sum(), points)
    return loss.detach(), gradient


def guided(case: Case, kind: str, budget: int) -> Tensor:
    """Places in the pool that the shipped `guided` decodes."""
    known = torch.cat((case.goodness(kind), torch.tensor([-torch.inf])))
    entries = case.entries()
    tried, _ = guided_search(known.__getitem__, entries, len(entries) - 1, budget, BATCH)
    return tried


@lru_cache(maxsize=1)
def _guide() -> Guide:
    return load_guide("demo")


SCORES: dict[str, Callable[[Case, str], Tensor]] = {
    "random": random_order,
    "first order, image change": image_change,
    "first order, one backward": one_backward,
    "gradient (9 probes)": several_probes,
}
