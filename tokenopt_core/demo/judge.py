"""The judge: an independent classifier of the demo world's attributes.

It plays the part that SigLIP plays in the paper (arXiv 2506.08257, appendix C): no loss ever uses
it, so it tells an edit from an adversarial image. Its network (5x5 convolutions, max pooling,
BatchNorm) and its training seed differ from those of every other demo model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..images.resize import resize
from .world import ATTRIBUTES, IMAGE_SIZE, Attributes

WEIGHTS = Path(__file__).parent / "judge" / "model.safetensors"
_WIDTHS = (24, 48, 96, 128)


@dataclass(frozen=True)
class Judgement(Attributes):
    """What the judge sees in `n` images.

    Args:
        indices: (n, 8) int64, the most likely value of each attribute.
        probabilities: one (n, values) tensor for each attribute, in the order of `ATTRIBUTES`.
        valid: (n,) probability that the image is a scene of this world at all.
    """

    probabilities: tuple[Tensor, ...]
    valid: Tensor

    def agrees(self, wanted: Attributes, names: tuple[str, ...] = tuple(ATTRIBUTES)) -> Tensor:
        """(n,) bool: the image is a valid scene and shows `wanted` in the attributes `names`."""
        columns = [list(ATTRIBUTES).index(name) for name in names]
        same = self.indices[:, columns] == wanted.indices[:, columns]
        return same.all(dim=1) & (self.valid > 0.5)


class JudgeNet(nn.Module):
    """Logits of validity and of every attribute from images (n, 3, 64, 64) in [0, 1]."""

    def __init__(self):
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in _WIDTHS:
            layers += [
                nn.Conv2d(channels, width, 5, padding=2, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            channels = width
        self.features = nn.Sequential(*layers)
        self.hidden = nn.Linear(channels * (IMAGE_SIZE // 16) ** 2, 160)
        self.heads = nn.ModuleList(
            nn.Linear(160, count) for count in (1, *(len(v) for v in ATTRIBUTES.values()))
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        hidden = self.features(images * 4 - 2).flatten(1)
        hidden = functional.dropout(self.hidden(hidden).relu(), 0.2, self.training)
        return [head(hidden) for head in self.heads]


def judge(images: Tensor) -> Judgement:
    """What `images` (n, 3, h, w) in [0, 1] show; other sizes are resized to 64x64.

    Raises:
        ValueError: `images` is not a batch of RGB images.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(
            f"images has shape {tuple(images.shape)}; the judge needs (n, 3, h, w) RGB images "
            "in [0, 1]: permute or convert them first."
        )
    images = images.detach().float().cpu().clamp(0, 1)
    images = resize(images, (IMAGE_SIZE, IMAGE_SIZE), "bilinear")
    with torch.no_grad():
        logits = _network()(images)
    probabilities = tuple(values.softmax(dim=1) for values in logits[1:])
    indices = torch.stack([p.argmax(dim=1) for p in probabilities], dim=1)
    return Judgement(indices, probabilities, logits[0][:, 0].sigmoid())


@lru_cache(maxsize=1)
def _network() -> JudgeNet:
    from safetensors.torch import load_file

    with torch.inference_mode(False):
        with torch.device("meta"):  # draws no weights, which would advance everybody's seed
            network = JudgeNet()
        weights = {
            name: value.float() if value.is_floating_point() else value.clone()
            for name, value in load_file(WEIGHTS).items()
        }
        network.load_state_dict(weights, assign=True)
        return network.eval().requires_grad_(False)
