"""One look at the features: decode them, ask the loss, and learn which way is down.

Axes: b images, n tokens, d token size, s = `tokenizer.spec.image_size`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..compute.gradients import clamp_images
from ..compute.half_precision import autocast
from ..compute.memory import in_chunks
from ..compute.seeds import send
from ..losses.base import Loss, loss_terms
from ..tokenizers import Tokenizer
from .config import OptimizeConfig


class Look(NamedTuple):
    """What a look showed, detached."""

    images: Tensor  # (b, 3, s, s)
    codes: Tensor | None  # (b, n)
    terms: dict[str, Tensor]  # (b,) each
    loss: Tensor  # (b,), their sum
    gradient: Tensor  # (b, n, d), of each image's loss in its own features


def look(
    tokenizer: Tokenizer,
    loss: Loss,
    features: Tensor,
    config: OptimizeConfig,
    *,
    dtype: torch.dtype = torch.float32,
    text: Tensor | None = None,
    scales: Sequence[float] = (),
) -> Look:
    """Images, loss and gradient of features (b, n, d) float32.

    Args:
        tokenizer: decodes in its own type, see `Tokenizer.cast`.
        dtype: that a loss may compute in.
        scales: factors per image by which the loss is multiplied in the backward pass, for float16;
            the gradient comes without them.
    """
    scaled = any(scale != 1 for scale in scales)
    with torch.enable_grad():
        variable = features.detach().requires_grad_()
        tokens, codes = variable, None
        if config.quantize:
            tokens, codes = tokenizer.quantize(variable)
        with autocast(torch.float32, features.device):  # off: the decoder knows its type
            images = _decoded(tokenizer, tokens, text, config.low_memory)
        if config.clamp and not config.official_rules:
            images = clamp_images(images)
        with autocast(dtype, features.device):
            terms = _checked_terms(loss, images)
        total = sum(terms.values())
        factors = send(torch.tensor(scales), total.device) if scaled else None
        objective = (total * factors).sum() if scaled else total.sum()
        (gradient,) = torch.autograd.grad(objective, variable)
    if scaled:
        gradient = gradient / factors.view(-1, 1, 1)
    terms = {name: value.detach() for name, value in terms.items()}
    return Look(images.detach(), codes, terms, total.detach(), gradient)


def regularizer(
    config: OptimizeConfig, tokenizer: Tokenizer, features: Tensor, start: Tensor
) -> tuple[Tensor, Tensor]:
    """The penalty (b,), the weighted mean squared distance from the anchor, and its gradient.

    It belongs to the features without noise. The published VAE optimizes the log-variances too;
    they never move and never reach the image, but halve the mean.
    """
    kind, weight = config.regularize, config.reg_weight
    if kind == "none" or not weight:
        return features.new_zeros(len(features)), torch.zeros_like(features)
    if config.official_rules and tokenizer.spec.kind == "vae":
        weight = weight / 2
    distance = features - start if kind == "seed" else features
    return weight * distance.square().mean((1, 2)), 2 * weight / distance[0].numel() * distance


def _decoded(tokenizer: Tokenizer, tokens: Tensor, text: Tensor | None, low_memory: bool) -> Tensor:
    """The images (b, 3, s, s) of tokens (b, n, d), all at once or in turn."""
    if not low_memory:
        return tokenizer.decode(tokens, text=text)
    if text is None:
        return in_chunks(tokenizer.decode, 1, tokens)
    return in_chunks(tokenizer.decode, 1, tokens, text.expand(len(tokens), -1, -1))


def _checked_terms(loss: Loss, images: Tensor) -> dict[str, Tensor]:
    """The loss's terms as float32, after a look at their shape."""
    terms = {name: value.float() for name, value in loss_terms(loss, images).items()}
    for name, value in terms.items():
        if value.shape != images.shape[:1]:
            raise ValueError(
                f"the loss {name!r} has shape {tuple(value.shape)} for {len(images)} images: "
                f"expected one number per image, ({len(images)},)."
            )
    if not any(value.requires_grad for value in terms.values()):
        raise ValueError("the loss does not depend on the images by differentiable operations.")
    return terms
