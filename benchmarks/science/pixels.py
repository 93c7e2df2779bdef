"""Pixels as if they were tokens: the adversarial baseline of arXiv 2506.08257, section 4.1.

With it the same loop, Adam and loss move the pixels of the image themselves.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tokenopt_core.tokenizers import Tokenizer, TokenizerSpec
from tokenopt_core.tokenizers.quantize import ContinuousTokens
from tokenopt_core.tokenizers.spec import ViTSize


class PixelTokenizer(Tokenizer):
    """Every pixel is a token of three channels, and decoding changes nothing."""

    def __init__(self, image_size: int = 64):
        none = ViTSize(width=1, layers=1, heads=1)  # a spec has them; there are no networks here
        super().__init__(
            TokenizerSpec(
                name="pixels",
                kind="vae",
                image_size=image_size,
                num_tokens=image_size**2,
                token_size=3,
                encoder=none,
                decoder=none,
                encoder_patch=1,
                decoder_patch=1,
            )
        )
        self.quantize = ContinuousTokens(self.spec)
        self.place = nn.Parameter(torch.zeros(1), requires_grad=False)  # tells the device

    def encode(self, images: Tensor) -> Tensor:
        return images.flatten(2).transpose(1, 2).float()

    def decode(self, tokens: Tensor, text: Tensor | None = None) -> Tensor:
        return tokens.transpose(1, 2).unflatten(2, (self.spec.image_size, -1))
