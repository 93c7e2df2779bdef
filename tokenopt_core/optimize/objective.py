"""The objective of a run and its gradient: decode the features, evaluate the loss, regularize.

Axes: b images, n tokens, d token size, s = `tokenizer.spec.image_size`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..compute.gradients import clamp_images
from ..compute.half_precision import autocast
from ..compute.memory import in_chunks
from ..compute.seeds import send
from ..losses.base import Loss, check_losses
from ..tokenizers import Tokenizer
from .config import OptimizeConfig


@dataclass(frozen=True)
class Run:
    """What stays the same during a run.

    Args:
        tokenizer: decodes in `dtype` on `device`, see `Tokenizer.cast`; encodes where it was.
        loss: seeded, its models in `dtype` on `device`.
        config: without "auto" in the learning rate.
        text: (b, t, e), for a tokenizer that decodes with text.
        reset: images -> images that are encoded again, see `optimize`.
        noise: step index -> standard normal numbers (b, n, d) on any device.
        free: a mask (1, n, 1) of the tokens that may move; None if all may.
        hold_norm: whether every token keeps its length.
    """

    tokenizer: Tokenizer
    loss: Loss
    config: OptimizeConfig
    device: torch.device
    dtype: torch.dtype = torch.float32
    text: Tensor | None = None
    reset: Callable[[Tensor], Tensor] | None = None
    noise: Callable[[int], Tensor] | None = None
    free: Tensor | None = None
    hold_norm: bool = False


class Evaluation(NamedTuple):
    """The objective at some features, detached."""

    images: Tensor  # (b, 3, s, s)
    codes: Tensor | None  # (b, n)
    terms: dict[str, Tensor]  # (b,) each
    loss: Tensor  # (b,), their sum
    gradient: Tensor  # (b, n, d), of each image's loss in its own features


def objective(run: Run, features: Tensor, index: int, scales: Sequence[float]) -> Evaluation:
    """Images, loss and gradient of features (b, n, d) float32 at step `index`.

    Args:
        scales: factors per image by which the loss is multiplied in the backward pass, for float16;
            the gradient comes without them.
    """
    config = run.config
    loss = run.loss.at(index / max(1, config.steps - 1))
    scaled = any(scale != 1 for scale in scales)
    with torch.enable_grad():
        variable = features.detach().requires_grad_()
        tokens, codes = run.tokenizer.quantize(variable) if config.quantize else (variable, None)
        with autocast(torch.float32, run.device):  # off: the decoder knows its type
            images = _decoded(run, tokens)
        if config.clamp and not config.official_rules:
            images = clamp_images(images)
        with autocast(run.dtype, run.device):
            terms = _terms(loss, images)
        total = sum(terms.values())
        factors = send(torch.tensor(scales), total.device) if scaled else None
        scalar = (total * factors).sum() if scaled else total.sum()
        (gradient,) = torch.autograd.grad(scalar, variable)
    if scaled:
        gradient = gradient / factors.view(-1, 1, 1)
    terms = {name: values.detach() for name, values in terms.items()}
    return Evaluation(images.detach(), codes, terms, total.detach(), gradient)


def regularizer(run: Run, features: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """The penalty (b,), the weighted mean squared distance from the anchor, and its gradient.

    It belongs to the features (b, n, d) without noise. The published VAE optimizes the
    log-variances too; they never move and never reach the image, but halve the mean.
    """
    kind, weight = run.config.regularize, run.config.reg_weight
    if kind == "none" or not weight:
        return features.new_zeros(len(features)), torch.zeros_like(features)
    if run.config.official_rules and run.tokenizer.spec.kind == "vae":
        weight = weight / 2
    distance = features - start if kind == "seed" else features
    return weight * distance.square().mean((1, 2)), 2 * weight / distance[0].numel() * distance


@torch.no_grad()
def start_images(run: Run, features: Tensor) -> Tensor:
    """The images (b, 3, s, s) in [0, 1] of features (b, n, d) that a run starts from."""
    tokens = run.tokenizer.quantize(features).tokens if run.config.quantize else features
    with autocast(torch.float32, run.device):  # off: the decoder knows its type
        return _decoded(run, tokens).clamp(0, 1)


def _decoded(run: Run, tokens: Tensor) -> Tensor:
    """The images (b, 3, s, s) of tokens (b, n, d), at once or one after the other."""
    if not run.config.low_memory:
        return run.tokenizer.decode(tokens, text=run.text)
    if run.text is None:
        return in_chunks(run.tokenizer.decode, 1, tokens)
    return in_chunks(run.tokenizer.decode, 1, tokens, run.text.expand(len(tokens), -1, -1))


def _terms(loss: Loss, images: Tensor) -> dict[str, Tensor]:
    """The loss's terms as float32, after a check of their shape."""
    terms = {
        name: check_losses(name, values, len(images)).float()
        for name, values in loss.terms(images).items()
    }
    if not any(values.requires_grad for values in terms.values()):
        raise ValueError("the loss does not depend on the images by differentiable operations.")
    return terms
