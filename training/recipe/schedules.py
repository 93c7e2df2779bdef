"""Learning rate, weight decay and weight averaging as published."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

# A parameter whose name has one of these parts is not decayed, and no vector is.
UNDECAYED = (
    "ln",
    "bias",
    "latent_tokens",
    "mask_token",
    "embedding",
    "norm",
    "gamma",
    "embed",
)


def learning_rate(step: float, *, base: float, end: float, warmup: float, steps: float) -> float:
    """The rate of a step counted from 0: a line from 0 to `base` over `warmup` steps, then half a
    cosine to `end` at `steps`, where it stays. With `end` = `base` it is constant. Steps may be
    shares of the run as well.
    """
    if step < warmup:
        return base * step / warmup
    progress = min((step - warmup) / (steps - warmup), 1.0)
    return end + (base - end) * 0.5 * (1 + math.cos(math.pi * progress))


def decay_groups(named: Iterable[tuple[str, Tensor]], weight_decay: float) -> list[dict]:
    """Optimizer groups of the trained ones of named parameters: decayed, and not decayed."""
    decayed, plain = [], []
    for name, parameter in named:
        if parameter.requires_grad:
            exempt = parameter.ndim < 2 or any(part in name for part in UNDECAYED)
            (plain if exempt else decayed).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]


def ema_decay(update: int, most: float = 0.999) -> float:
    """The share that an average keeps in its `update`-th update, counted from 1, which copies."""
    return min(most, update / (9 + update)) if update > 1 else 0.0


class ParameterAverage(nn.Module):
    """The published moving average of a module's trained parameters; others are copied."""

    def __init__(self, module: nn.Module, most: float = 0.999):
        super().__init__()
        self.most = most
        self.module = copy.deepcopy(module).requires_grad_(False).eval()
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Moves the average towards the module's parameters."""
        self.updates += 1
        share = 1 - ema_decay(int(self.updates), self.most)
        for own, new in zip(self.module.parameters(), module.parameters(), strict=True):
            own.lerp_(new, share if new.requires_grad else 1.0)
        for own, new in zip(self.module.buffers(), module.buffers(), strict=True):
            own.copy_(new)
