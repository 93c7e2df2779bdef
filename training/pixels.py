"""Stage 2 of the next demo tokenizer: decoder and pixel stage learn to draw (arXiv 2406.07550,
section 3.3); encoder and codebook stay as stage 1 left them.

Axes: b images, n tokens, d token size, p = 64 positions of the pixel stage.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tokenopt_core.tokenizers import TiTok
from tokenopt_core.tokenizers.vqgan import to_grid

from .imagenet import FeatureDistance
from .processes import average_gradients
from .recipe.discriminator import Discriminator
from .recipe.losses import DiscriminatorLoss, Perceptual, generator_loss
from .recipe.schedules import ParameterAverage, decay_groups, learning_rate
from .recipe.stages import train_pixel_stage
from .scenes import ScenePool
from .tokenizer import in_bfloat16

ADVERSARIAL_START = 0.5  # of the run; published: the first 4 %, after a much longer stage 1
WARMUP_SHARE = 0.01  # as published
PERCEPTUAL_WEIGHT = 0.002  # of unit-length features, whose distance is about 1 at first


class PixelTask:
    """Squared error, ImageNet features and, from half of the run on, a discriminator."""

    name = "stage2"
    peak_lr, last_lr = 5e-4, 5e-5  # published: 1e-4 and 1e-5
    adversarial_weight = 0.01  # as published

    def __init__(
        self,
        pool: ScenePool,
        model: TiTok,
        *,
        perceptual: Perceptual | None = None,
        steps: int = 40000,
        batch: int = 8,
        width: int = 32,
        seed: int = 54,
    ):
        torch.manual_seed(seed)
        self.pool, self.steps, self.batch = pool, steps, batch
        self.generator = torch.Generator().manual_seed(seed)
        device = pool.images.device
        self.perceptual = perceptual or FeatureDistance().to(device)
        self.model = self._trained(model).to(device, memory_format=torch.channels_last)
        self.discriminator = Discriminator(width).to(device, memory_format=torch.channels_last)
        self.judgement = DiscriminatorLoss().to(device)
        self.average = ParameterAverage(self.model)
        self.modules = {
            "model": self.model,
            "discriminator": self.discriminator,
            "judgement": self.judgement,
            "average": self.average,
        }
        # One optimizer for both: it skips the parameters that a step leaves without a gradient.
        groups = decay_groups(self.model.named_parameters(), 1e-4)
        groups += decay_groups(self.discriminator.named_parameters(), 1e-4)
        self.optimizer = torch.optim.AdamW(groups, self.peak_lr, betas=(0.9, 0.999))

    def _trained(self, model: TiTok) -> TiTok:
        return train_pixel_stage(model)

    def step(self, progress: float) -> dict[str, float]:
        """One update of the generator and, once it has started, one of the discriminator."""
        late = progress >= ADVERSARIAL_START
        own = (progress - ADVERSARIAL_START) / (1 - ADVERSARIAL_START)
        for number, group in enumerate(self.optimizer.param_groups):
            at = progress if number < 2 else max(own, 0.0)
            group["lr"] = learning_rate(
                at, base=self.peak_lr, end=self.last_lr, warmup=WARMUP_SHARE, steps=1
            )
        images, _ = self.pool.batch(self.batch, self.generator)
        images = images.contiguous(memory_format=torch.channels_last)
        decoded, rest = self._decoded(images, progress)
        loss = generator_loss(
            decoded,
            images,
            self.perceptual,
            perceptual_weight=PERCEPTUAL_WEIGHT,
            discriminator=self.discriminator if late else None,
            adversarial_weight=self.adversarial_weight,
        )
        self._descend(loss.total + rest, self.model)
        self.average.update(self.model)
        figures = {
            "psnr": -10 * math.log10(loss.reconstruction.item()),
            "features": loss.perceptual.item(),
        }
        if not late:
            return figures
        real, fake = self.discriminator(images), self.discriminator(decoded.detach())
        judged, _ = self.judgement(real, fake)
        self._descend(judged, self.discriminator)
        return figures | {"real": real.mean().item(), "fake": fake.mean().item()}

    def _decoded(self, images: Tensor, progress: float) -> tuple[Tensor, Tensor]:
        """Reconstructions (b, 3, h, w), not clamped, and the loss of their tokens (scalar)."""
        model = self.model
        with torch.no_grad():
            features = in_bfloat16(model.encoder, images, model.latent_tokens)
            tokens = model.quantize(features).tokens
        logits = in_bfloat16(model.decoder, tokens, None)  # (b, p, codes)
        latents = logits.softmax(-1) @ model.pixel_quantize.embedding.weight
        decoded = in_bfloat16(model.pixel_decoder, to_grid(latents, model.spec.grid))
        return decoded, decoded.new_zeros(())

    def _descend(self, loss: Tensor, module: nn.Module) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(module.parameters())
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        self.optimizer.step()
