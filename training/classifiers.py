"""Two attribute classifiers: the judge, and the feature network of the perceptual loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokenopt_core.demo.judge import JudgeNet
from tokenopt_core.demo.world import ATTRIBUTES

from .invalid import invalid_images, miscounted_scenes
from .loop import WeightAverage, attribute_loss, set_lr
from .scenes import ScenePool


class JudgeTask:
    """Trains the judge on scenes (also slightly degraded ones) and on invalid images."""

    name = "judge"
    peak_lr = 2e-3

    def __init__(self, pool: ScenePool, *, steps: int = 6000, batch: int = 64, seed: int = 77):
        torch.manual_seed(seed)
        self.pool, self.steps, self.batch = pool, steps, batch
        self.generator = torch.Generator().manual_seed(seed)
        self.spoiled = miscounted_scenes(6000, self.generator)
        self.net = JudgeNet()
        self.average = WeightAverage(self.net)
        self.modules = {"net": self.net, "average": self.average}
        self.optimizer = torch.optim.AdamW(self.net.parameters(), self.peak_lr, weight_decay=0.02)

    def step(self, progress: float) -> dict[str, float]:
        """One update on a batch of valid scenes and a third as many invalid ones."""
        set_lr(self.optimizer, progress, self.peak_lr)
        scenes, indices = self.pool.batch(self.batch, self.generator)
        broken = invalid_images(scenes[: self.batch // 3], self.spoiled, self.generator)
        images = torch.cat([degrade(scenes, self.generator), broken])
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.net.train()(images)
        target = (torch.arange(len(images)) < self.batch).float()
        validity = functional.binary_cross_entropy_with_logits(logits[0][:, 0].float(), target)
        attributes = attribute_loss([v[: self.batch] for v in logits[1:]], indices)
        _descend(self.optimizer, validity + attributes)
        self.average.update(self.net, progress)
        return {"attributes": attributes.item(), "validity": validity.item()}


class FeatureNet(nn.Module):
    """Strided convolutions; `features` feeds the perceptual loss, the heads only train it."""

    def __init__(self):
        super().__init__()
        widths = (3, 32, 64, 128, 192)
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 3 if a > 3 else 5, padding=1 if a > 3 else 2, stride=2),
                nn.GroupNorm(8, b),
                nn.SiLU(),
                nn.Conv2d(b, b, 3, padding=1),
                nn.GroupNorm(8, b),
                nn.SiLU(),
            )
            for a, b in zip(widths, widths[1:], strict=False)
        )
        self.heads = nn.ModuleList(nn.Linear(192 * 16, len(v)) for v in ATTRIBUTES.values())

    def features(self, images: Tensor, stages: int = 4) -> list[Tensor]:
        """Maps of 32, 64, 128 and 192 channels at 32, 16, 8 and 4 pixels."""
        x, maps = images * 4 - 2, []
        for stage in self.stages[:stages]:
            x = stage(x)
            maps.append(x)
        return maps

    def named(self, maps: list[Tensor]) -> list[Tensor]:
        """Logits of each attribute from the four maps of `features`."""
        return [head(maps[-1].flatten(1)) for head in self.heads]

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.named(self.features(images))


class FeatureTask:
    """Trains the feature network to name the attributes."""

    name = "features"
    peak_lr = 1.5e-3

    def __init__(self, pool: ScenePool, *, steps: int = 2500, batch: int = 64, seed: int = 5):
        torch.manual_seed(seed)
        self.pool, self.steps, self.batch = pool, steps, batch
        self.generator = torch.Generator().manual_seed(seed)
        self.net = FeatureNet()
        self.modules = {"net": self.net}
        self.optimizer = torch.optim.AdamW(self.net.parameters(), self.peak_lr, weight_decay=0.02)

    def step(self, progress: float) -> dict[str, float]:
        """One update on a batch of scenes."""
        set_lr(self.optimizer, progress, self.peak_lr)
        scenes, indices = self.pool.batch(self.batch, self.generator)
        with torch.autocast("cpu", torch.bfloat16):
            loss = attribute_loss(self.net(degrade(scenes, self.generator)), indices)
        _descend(self.optimizer, loss)
        return {"loss": loss.item()}


def degrade(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images with faint noise, or a faint 4x4-pixel grid as a decoder leaves it, at random."""
    n = len(images)
    noise = torch.randn(images.shape, generator=generator)
    blocks = functional.avg_pool2d(noise, 4).repeat_interleave(4, 2).repeat_interleave(4, 3) * 4
    strength = torch.rand(2, n, 1, 1, 1, generator=generator) ** 2 * 0.05
    return (images + strength[0] * noise + 0.5 * strength[1] * blocks).clamp(0, 1)


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
