"""The published discriminator: convolutions and blurred strides, logits for 16 x 16 regions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

REGIONS = 16


class Blur(nn.Module):
    """Binomial blur with stride 2; any size is padded with zeros to end up at its half."""

    def __init__(self) -> None:
        super().__init__()
        row = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("kernel", (row.outer(row) / 64)[None, None])

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for size in (x.shape[3], x.shape[2]):
            pad = 2 + size % 2
            pads += [pad // 2, pad - pad // 2]
        kernel = self.kernel.to(x.dtype).expand(x.shape[1], -1, -1, -1)
        return F.conv2d(F.pad(x, pads), kernel, stride=2, groups=x.shape[1])


class Discriminator(nn.Module):
    """Logits (b, 1, 16, 16), high for real images; parameter names are the official code's.

    Args:
        width: channels of the first of three stages; the later ones have two and four times them.
    """

    def __init__(self, width: int = 128):
        super().__init__()
        self.block_in = nn.Sequential(nn.Conv2d(3, width, 5, padding=2), nn.LeakyReLU(0.1))
        widths = (width, width, 2 * width, 4 * width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, padding=1),
                Blur(),
                nn.GroupNorm(32, after),
                nn.LeakyReLU(0.1),
            )
            for before, after in zip(widths, widths[1:], strict=False)
        )
        self.to_logits = nn.Sequential(
            nn.Conv2d(widths[-1], widths[-1], 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(widths[-1], 1, 5, padding=2),
        )

    def forward(self, images: Tensor) -> Tensor:
        x = self.block_in(images)
        for block in self.blocks:
            x = block(x)
        return self.to_logits(F.adaptive_max_pool2d(x, (REGIONS, REGIONS)))
