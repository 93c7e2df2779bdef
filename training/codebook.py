"""A codebook that learns by running means."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class CodebookLearner(nn.Module):
    """Moves codes to the running mean of what chose them; restarts unused ones.

    Args:
        unit: features have unit length, and so have the codes.
    """

    def __init__(self, embedding: nn.Embedding, decay: float = 0.99, unit: bool = True):
        super().__init__()
        size, dim = embedding.weight.shape
        self.decay, self.unit = decay, unit
        self.embedding = embedding.requires_grad_(False)
        self.register_buffer("usage", torch.ones(size))
        self.register_buffer("total", torch.zeros(size, dim))
        self.register_buffer("memory", torch.zeros(32768, dim))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def remember(self, features: Tensor) -> None:
        """Keeps features (b, n, d) for the k-means start."""
        count = features[..., 0].numel()
        rows = (self.position + torch.arange(count, device=features.device)) % len(self.memory)
        self.memory[rows] = features.flatten(0, 1)
        self.position += len(rows)

    def start(self, generator: torch.Generator, rounds: int = 12) -> None:
        """k-means on the remembered features, once; spherical for unit vectors."""
        if self.started:
            return
        size = len(self.usage)
        memory = self.memory[: max(int(self.position), 1)]
        codes = memory[torch.randint(len(memory), (size,), generator=generator)]
        for _ in range(rounds):
            nearest = (memory @ codes.T - 0.5 * codes.square().sum(1)).argmax(1)
            sums = torch.zeros_like(codes).index_add_(0, nearest, memory)
            count = torch.bincount(nearest, minlength=size)
            picked = torch.randint(len(memory), (int((count == 0).sum()),), generator=generator)
            sums[count == 0] = memory[picked]
            codes = self._codes(sums, count.clamp(min=1))
        self.total.copy_(codes)
        self.embedding.weight.data.copy_(codes)
        self.started.fill_(True)

    def update(self, features: Tensor, codes: Tensor, generator: torch.Generator) -> None:
        """One running-mean update from features (b, n, d) and the codes (b, n) they chose."""
        flat, chosen = features.flatten(0, 1), codes.flatten()
        count = torch.bincount(chosen, minlength=len(self.usage)).float()
        share = len(self.usage) / len(flat)  # usage is 1 on average
        self.usage.lerp_(count * share, 1 - self.decay)
        sums = torch.zeros_like(self.total).index_add_(0, chosen, flat)
        self.total.lerp_(sums * share, 1 - self.decay)
        dead = (self.usage < 0.03).nonzero().flatten()
        if len(dead):
            rows = torch.randint(len(flat), (len(dead),), generator=generator)
            self.total[dead] = flat[rows]
            self.usage[dead] = 1.0
        self.embedding.weight.data.copy_(self._codes(self.total, self.usage))

    def _codes(self, total: Tensor, count: Tensor) -> Tensor:
        return functional.normalize(total, dim=1) if self.unit else total / count.unsqueeze(1)

    def used(self) -> float:
        """The share of codes in use."""
        return (self.usage > 0.05).float().mean().item()
