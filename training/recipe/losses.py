"""Losses of the tokenizer's training; all are scalars, computed in float32.

Axes: b images (b, 3, h, w) in [0, 1], n tokens, d token size, p positions of the pixel stage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenopt_core.tokenizers.base import Posterior
from tokenopt_core.tokenizers.quantize import VectorQuantizer

from ..processes import averaged

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
LPIPS_SHIFT, LPIPS_SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)

Perceptual = Callable[[Tensor, Tensor], Tensor]


def proxy_loss(logits: Tensor, codes: Tensor) -> Tensor:
    """Stage 1: mean cross entropy of logits (b, p, classes) against the proxy codes (b, p)."""
    return F.cross_entropy(logits.float().flatten(0, 1), codes.flatten())


def quantizer_loss(quantize: VectorQuantizer, features: Tensor, codes: Tensor) -> Tensor:
    """Commitment (weight 0.25) and codebook loss of features (b, n, d) and the codes (b, n)."""
    return sum(quantize.loss(features, codes))


def kl_loss(posterior: Posterior) -> Tensor:
    """Divergence from the normal distribution, summed over an image, averaged over images."""
    return posterior.kl().sum(1).mean()


def channels(values: tuple[float, float, float], like: Tensor) -> Tensor:
    return torch.tensor(values, device=like.device).view(1, 3, 1, 1)


class LogitDistance(nn.Module):
    """Squared distance of an ImageNet classifier's logits, both images resized to 224 pixels.

    Args:
        network: frozen; logits from images (b, 3, 224, 224) with ImageNet's mean and deviation.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Mean over images and classes."""
        return F.mse_loss(self._logits(images), self._logits(targets))

    def _logits(self, images: Tensor) -> Tensor:
        images = F.interpolate(
            images.float(), (224, 224), mode="bilinear", align_corners=False, antialias=True
        )
        return self.network((images - channels(MEAN, images)) / channels(STD, images))


class Lpips(nn.Module):
    """LPIPS (arXiv 1801.03924): distances of a VGG16's unit-length feature maps.

    Args:
        vgg: its layers up to relu5_3, frozen.
        weights: of the maps' channels, one (1, c, 1, 1) for each of the five maps.
    """

    MAPS = (3, 8, 15, 22, 29)  # the last layer of each block

    def __init__(self, vgg: nn.Sequential, weights: list[Tensor]):
        super().__init__()
        self.vgg = vgg
        self.weights = nn.ParameterList(weights).requires_grad_(False)

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Mean over images."""
        total = images.new_zeros(())
        pairs = zip(self._maps(images), self._maps(targets), self.weights, strict=True)
        for found, wanted, weight in pairs:
            total = total + ((found - wanted).square() * weight).sum(1).mean()
        return total

    def _maps(self, images: Tensor) -> list[Tensor]:
        x = images.float() * 2 - 1
        x = (x - channels(LPIPS_SHIFT, x)) / channels(LPIPS_SCALE, x)
        maps = []
        for number, layer in enumerate(self.vgg):
            x = layer(x)
            if number in self.MAPS:
                maps.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return maps


class GeneratorLoss(NamedTuple):
    """The total and its unweighted parts."""

    total: Tensor
    reconstruction: Tensor
    perceptual: Tensor
    adversarial: Tensor


def generator_loss(
    decoded: Tensor,
    images: Tensor,
    perceptual: Perceptual,
    *,
    perceptual_weight: float,
    discriminator: nn.Module | None,
    adversarial_weight: float,
) -> GeneratorLoss:
    """Loss of decoded images, not clamped: squared error, perceptual and adversarial loss.

    Args:
        perceptual_weight: stage 2: 0.1 with `LogitDistance`. In one stage the perceptual loss is
            LPIPS + 0.1 * `LogitDistance`, and its weight 1.
        discriminator: None before it starts. It gets no gradients from here.
        adversarial_weight: stage 2: 0.01; in one stage 0.1.
    """
    decoded, images = decoded.float(), images.float()
    reconstruction = F.mse_loss(decoded, images)
    distance = perceptual(decoded, images)
    adversarial = decoded.new_zeros(())
    if discriminator is not None:
        weights = {name: value.detach() for name, value in discriminator.named_parameters()}
        adversarial = -torch.func.functional_call(discriminator, weights, (decoded,)).mean()
    total = reconstruction + perceptual_weight * distance + adversarial_weight * adversarial
    return GeneratorLoss(total, reconstruction, distance, adversarial)


class DiscriminatorLoss(nn.Module):
    """Hinge loss and LeCam regularization (arXiv 2104.03310), with its running means.

    Args:
        lecam_weight: of the regularization.
    """

    def __init__(self, lecam_weight: float = 0.001, decay: float = 0.999):
        super().__init__()
        self.lecam_weight, self.decay = lecam_weight, decay
        self.register_buffer("mean_real", torch.zeros(()))
        self.register_buffer("mean_fake", torch.zeros(()))

    def forward(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The loss and its weighted LeCam part from the discriminator's logits; the running means
        of earlier steps are used, then updated."""
        real, fake = real.float(), fake.float()
        hinge = 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())
        lecam = F.relu(real.mean() - self.mean_fake).square()
        lecam = self.lecam_weight * (lecam + F.relu(self.mean_real - fake.mean()).square())
        with torch.no_grad():
            self.mean_real.lerp_(averaged(real.mean()), 1 - self.decay)
            self.mean_fake.lerp_(averaged(fake.mean()), 1 - self.decay)
        return hinge + lecam, lecam
