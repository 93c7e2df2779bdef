"""What the parity tests of training share."""

from __future__ import annotations

from torch import nn
from torch.nn import functional as F

from tokenopt_core.tokenizers import TiTok, load_tokenizer
from training.recipe.discriminator import Discriminator

LOSS, LECAM, GRADIENT, LOGITS, TRACE = 1e-5, 1e-4, 2e-4, 2e-5, 1e-4


class Pooled(nn.Module):
    """The linear map that stands in the fixtures for the ImageNet classifier."""

    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)

    def forward(self, images):
        return F.linear(F.adaptive_avg_pool2d(images, 4).flatten(1), self.weight, self.bias)


def discriminator_of(ref) -> Discriminator:
    network = Discriminator(width=32)
    prefix = "discriminator."
    state = {k.removeprefix(prefix): v for k, v in ref.weights.items() if k.startswith(prefix)}
    network.load_state_dict(state)
    return network


def trainable(hub_folder, name) -> TiTok:
    loaded = load_tokenizer(hub_folder(name))
    model = TiTok(loaded.spec)
    model.load_state_dict(loaded.state_dict())
    return model
