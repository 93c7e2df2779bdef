"""The two stages of arXiv 2406.07550, section 3.3: what each learns, and from what.

Axes: b images (b, 3, s, s) in [0, 1], n tokens, d token size, p positions of the pixel stage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tokenopt_core.tokenizers import MaskGitVqgan, TiTok

from .losses import proxy_loss


class ProxyStageLoss(NamedTuple):
    """Stage 1: the total, its parts (the commitment has its weight of 0.25), and what was seen."""

    total: Tensor
    cross_entropy: Tensor
    commitment: Tensor
    codebook: Tensor
    logits: Tensor  # (b, p, classes)
    features: Tensor  # (b, n, d)
    codes: Tensor  # (b, n)


def called(module: nn.Module, *inputs: Tensor | None) -> Tensor:
    """The module's output in float32."""
    return module(*inputs).float()


def proxy_stage_loss(
    model: TiTok, images: Tensor, proxy_codes: Tensor, run: Callable[..., Tensor] = called
) -> ProxyStageLoss:
    """Stage 1: encoder, codebook and decoder learn the codes (b, p) of a VQGAN, not pixels.

    Args:
        run: calls encoder and decoder, for example in 16 bits.
    """
    features = run(model.encoder, images, model.latent_tokens)
    tokens, codes = model.quantize(features)
    logits = run(model.decoder, tokens, None)
    commitment, codebook = model.quantize.loss(features, codes)
    cross_entropy = proxy_loss(logits, proxy_codes)
    total = cross_entropy + commitment + codebook
    return ProxyStageLoss(total, cross_entropy, commitment, codebook, logits, features, codes)


def train_proxy_stage(model: TiTok) -> TiTok:
    """Lets stage 1 train everything but the pixel stage; returns the model."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith("pixel_"))
    return model.train()


def train_pixel_stage(model: TiTok) -> TiTok:
    """Lets stage 2 train the decoder and the pixel stage, and freezes the rest; returns the
    model."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(("decoder.", "pixel_")))
    return model.train()


@torch.no_grad()
def take_pixel_stage(model: TiTok, vqgan: MaskGitVqgan) -> None:
    """Copies the VQGAN's decoder and codebook into the model's pixel stage."""
    model.pixel_decoder.load_state_dict(vqgan.decoder.state_dict())
    model.pixel_quantize.load_state_dict(vqgan.quantize.state_dict())
