"""Trains the MaskGIT-VQGAN whose codes and decoder the next demo tokenizer begins with.

arXiv 2406.07550, section 3.3: stage 1 learns this network's codes, stage 2 continues its decoder.
Its encoder makes the codes and is never shipped, so it is a plain one, which costs a third of the
published one. Measured on the way: 8 norm groups instead of 32 (with 32 channels those would remove
each channel's mean, and colours with it), no quantization for the first tenth, a codebook that
starts at k-means centres and restarts codes that nothing chooses.

Axes: b images, n = 64 latent positions, d = 64 channels.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from tokenopt_core.tokenizers import MaskGitVqgan
from tokenopt_core.tokenizers.spec import PixelStage, TokenizerSpec
from tokenopt_core.tokenizers.vqgan import to_grid

from .codebook import CodebookLearner
from .imagenet import FeatureDistance
from .loop import WeightAverage, set_lr
from .processes import average_gradients, gathered
from .recipe.losses import Perceptual
from .scenes import ScenePool
from .tokenizer import in_bfloat16

PIXEL_STAGE = PixelStage(
    hidden_channels=32,
    channel_mult=(1, 1, 2, 4, 4),
    num_res_blocks=1,
    z_channels=64,
    num_embeddings=1024,
    norm_groups=8,
)
SPEC = TokenizerSpec(
    name="demo-vqgan",
    layout="maskgit-vqgan",
    image_size=128,
    num_tokens=64,
    token_size=PIXEL_STAGE.z_channels,
    codebook_size=PIXEL_STAGE.num_embeddings,
    pixel_stage=PIXEL_STAGE,
)
FREE_SHARE = 0.1  # of the run, before quantization starts
FEATURES_EVERY = 3  # steps on average, and then of half a batch: they cost a third of a step
FIXED_SHARE = 0.1  # of the run, at its end, with a codebook that stays as it is


class PlainEncoder(nn.Module):
    """Images (b, 3, h, w) -> latents (b, z, h / 16, w / 16): strided convolutions, no norms."""

    def __init__(self, stage: PixelStage) -> None:
        super().__init__()
        near, far = 2 * stage.hidden_channels, 4 * stage.hidden_channels
        self.conv_in = nn.Conv2d(3, near, 4, stride=4)
        self.layers = nn.Sequential(
            PlainBlock(near),
            nn.Conv2d(near, far, 2, stride=2),
            PlainBlock(far),
            nn.Conv2d(far, far, 2, stride=2),
            PlainBlock(far),
            nn.Conv2d(far, stage.z_channels, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(self.conv_in(images * 2 - 1))


class PlainBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(functional.silu(self.conv1(functional.silu(x))))


class Vqgan(MaskGitVqgan):
    """MaskGIT's VQGAN with the plain encoder."""

    def __init__(self, spec: TokenizerSpec = SPEC) -> None:
        super().__init__(spec)
        self.encoder = PlainEncoder(spec.pixel_stage)


class VqganTask:
    """Reconstruction (pixels and ImageNet features) and commitment."""

    name = "vqgan"
    peak_lr = 1.2e-3

    def __init__(
        self,
        pool: ScenePool,
        *,
        start: Vqgan | None = None,
        perceptual: Perceptual | None = None,
        spec: TokenizerSpec = SPEC,
        steps: int = 12000,
        batch: int = 4,
        seed: int = 51,
    ):
        torch.manual_seed(seed)
        self.pool, self.steps, self.batch = pool, steps, batch
        self.generator = torch.Generator().manual_seed(seed)
        device = pool.images.device
        self.perceptual = perceptual or FeatureDistance().to(device)
        self.model = Vqgan(spec).to(device, memory_format=torch.channels_last)
        self.codebook = CodebookLearner(self.model.quantize.embedding, unit=False).to(device)
        if start is not None:  # goes on from its weights and its codebook
            self.model.load_state_dict(start.state_dict())
            self.codebook.total.copy_(self.model.quantize.embedding.weight)
            self.codebook.started.fill_(True)
        self.average = WeightAverage(self.model)
        self.modules = {"model": self.model, "codebook": self.codebook, "average": self.average}
        trained = [*self.model.encoder.parameters(), *self.model.decoder.parameters()]
        self.optimizer = torch.optim.AdamW(
            trained, self.peak_lr, betas=(0.9, 0.99), weight_decay=1e-4
        )

    def step(self, progress: float) -> dict[str, float]:
        """One update on a batch of scenes."""
        set_lr(self.optimizer, progress, self.peak_lr)
        images, _ = self.pool.batch(self.batch, self.generator)
        images = images.contiguous(memory_format=torch.channels_last)
        latents = in_bfloat16(self.model.encoder, images).flatten(2).transpose(1, 2)  # (b, n, d)
        tokens, commitment = self._tokens(latents, progress)
        decoded = in_bfloat16(self.model.decoder, to_grid(tokens, self.model.spec.grid))
        error = decoded - images
        mse = error.square().mean()
        loss = 10 * mse + error.abs().mean() + 0.25 * commitment
        figures = {"psnr": -10 * math.log10(mse.item()), "commitment": commitment.item()}
        if torch.rand((), generator=self.generator) < 1 / FEATURES_EVERY:
            half = len(images) // 2
            features = self.perceptual(decoded[:half], images[:half])
            loss = loss + 0.02 * FEATURES_EVERY * features
            figures["features"] = features.item()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(self.model.parameters())
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.average.update(self.model, progress)
        return figures | {"codes": self.codebook.used()}

    def _tokens(self, latents: Tensor, progress: float) -> tuple[Tensor, Tensor]:
        """Quantized latents (b, n, d) with straight-through gradients, and the commitment loss."""
        if progress < FREE_SHARE and not self.codebook.started:
            self.codebook.remember(gathered(latents.detach()))
            return latents, latents.new_zeros(())
        self.codebook.start(self.generator)
        quantized = self.model.quantize(latents)
        codes = functional.embedding(quantized.codes, self.model.quantize.embedding.weight)
        if progress < 1 - FIXED_SHARE:
            chosen = gathered(latents.detach()), gathered(quantized.codes)
            self.codebook.update(*chosen, self.generator)
        return quantized.tokens, (latents - codes.detach()).square().mean()


@torch.no_grad()
def exported(task: VqganTask) -> Vqgan:
    """The averaged network with the codebook of the last step."""
    model = task.average.module
    model.quantize.embedding.weight.copy_(task.model.quantize.embedding.weight)
    return model


def load_vqgan(path: Path) -> Vqgan:
    """The frozen network from the file that the stage `vqgan` wrote."""
    vqgan = Vqgan()
    vqgan.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    return vqgan.to(memory_format=torch.channels_last).eval().requires_grad_(False)
