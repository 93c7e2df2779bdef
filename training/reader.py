"""Reads the attributes of still lifes, to measure what a tokenizer keeps; never shipped.

A small head on frozen ImageNet features (stride 16).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokenopt_core.demo.still_life import ATTRIBUTES, IMAGE_SIZE

from .imagenet import WIDTHS, ImageNetFeatures
from .loop import attribute_loss, set_lr
from .processes import average_gradients
from .scenes import ScenePool


class Reader(nn.Module):
    """Logits of each attribute from images (n, 3, 128, 128) in [0, 1]."""

    def __init__(self):
        super().__init__()
        self.features = ImageNetFeatures()
        self.head = nn.Sequential(
            nn.Conv2d(WIDTHS[-1] + WIDTHS[-2], 96, 1),
            nn.ReLU(),
            nn.Conv2d(96, 64, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        side = IMAGE_SIZE // 16
        self.heads = nn.ModuleList(nn.Linear(64 * side**2, len(v)) for v in ATTRIBUTES.values())

    def forward(self, images: Tensor) -> list[Tensor]:
        *_, near, far = self.features(images)
        hidden = self.head(torch.cat([functional.max_pool2d(near, 2), far], dim=1))
        return [head(hidden) for head in self.heads]


class ReaderTask:
    """Trains the reader's head on scenes."""

    name = "reader"
    peak_lr = 1e-3

    def __init__(self, pool: ScenePool, *, steps: int = 1500, batch: int = 16, seed: int = 52):
        torch.manual_seed(seed)
        self.pool, self.steps, self.batch = pool, steps, batch
        self.generator = torch.Generator().manual_seed(seed)
        self.net = Reader().to(pool.images.device)
        self.modules = {"head": self.net.head, "heads": self.net.heads}
        trained = [p for module in self.modules.values() for p in module.parameters()]
        self.optimizer = torch.optim.AdamW(trained, self.peak_lr, weight_decay=0.02)

    def step(self, progress: float) -> dict[str, float]:
        """One update on a batch of scenes."""
        set_lr(self.optimizer, progress, self.peak_lr)
        images, indices = self.pool.batch(self.batch, self.generator)
        with torch.autocast(images.device.type, torch.bfloat16):
            loss = attribute_loss(self.net(images), indices)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(p for module in self.modules.values() for p in module.parameters())
        self.optimizer.step()
        return {"loss": loss.item()}


@torch.no_grad()
def kept(reader: Reader, images: Tensor, indices: Tensor) -> dict[str, float]:
    """Of each attribute, the share of images (n, 3, h, w) in which the reader sees it."""
    seen = [torch.cat(part) for part in zip(*map(reader, images.split(32)), strict=True)]
    return {
        name: (logits.argmax(1) == indices[:, k]).float().mean().item()
        for k, (name, logits) in enumerate(zip(ATTRIBUTES, seen, strict=True))
    }
