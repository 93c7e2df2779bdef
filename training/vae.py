"""Trains the VAE variant of `benchmarks/science`: the demo tokenizer without its codebook.

Starts from the shipped weights: the posterior's mean is what the codebook used to see, and the
decoder takes it at its own length. A small Kullback-Leibler weight keeps the tokens near the normal
distribution (arXiv 2506.08257, table 3, "VAE"). Never shipped.

Axes: b images, n tokens, d token size.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import nn

from tokenopt_core.tokenizers import TiTok, TokenizerSpec, load_tokenizer, save_tokenizer

from .classifiers import FeatureNet
from .loop import WeightAverage, set_lr
from .scenes import ScenePool
from .tokenizer import SPEC, in_bfloat16, perceptual_loss, pixel_loss

VAE_SPEC = TokenizerSpec(
    name="vae",
    kind="vae",
    image_size=SPEC.image_size,
    num_tokens=SPEC.num_tokens,
    token_size=SPEC.token_size,
    encoder=SPEC.encoder,
    decoder=SPEC.decoder,
    encoder_patch=SPEC.encoder_patch,
    decoder_patch=SPEC.decoder_patch,
)
FIRST_LOGVAR = -3.0


class VaeTask:
    """Reconstruction (pixels and features) from posterior samples, and a Kullback-Leibler term."""

    name = "vae"
    peak_lr = 6e-4
    kl_weight = 2e-5  # per image, of the divergence summed over tokens and channels

    def __init__(
        self,
        pool: ScenePool,
        features: FeatureNet,
        *,
        steps: int = 4000,
        batch: int = 32,
        seed: int = 6,
    ):
        torch.manual_seed(seed)
        self.pool, self.steps, self.batch = pool, steps, batch
        self.generator = torch.Generator().manual_seed(seed)
        self.perceptual = features.eval().requires_grad_(False)
        self.model = TiTok(VAE_SPEC)
        start_from_codebook(self.model, load_tokenizer("demo"))
        self.average = WeightAverage(self.model)
        self.modules = {"model": self.model, "average": self.average}
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), self.peak_lr, betas=(0.9, 0.98), weight_decay=0.01
        )

    def step(self, progress: float) -> dict[str, float]:
        """One update on a batch of scenes."""
        set_lr(self.optimizer, progress, self.peak_lr)
        images, indices = self.pool.batch(self.batch, self.generator)
        raw = in_bfloat16(self.model.encoder, images, self.model.latent_tokens)
        mean, logvar = raw.chunk(2, dim=-1)
        logvar = logvar.clamp(-10, 5)
        noise = torch.randn(mean.shape, generator=self.generator)
        decoded = in_bfloat16(self.model.decoder, mean + (0.5 * logvar).exp() * noise, None)
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum((1, 2)).mean()
        pixels, mse = pixel_loss(decoded, images, indices)
        half = self.batch // 2
        with torch.autocast("cpu", torch.bfloat16):
            features, named = perceptual_loss(
                self.perceptual, decoded[:half], images[:half], indices[:half]
            )
        loss = pixels + 0.25 * features + 0.08 * named + self.kl_weight * kl
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.average.update(self.model, progress)
        return {"psnr": -10 * math.log10(mse), "kl": kl.item(), "named": named.item()}


@torch.no_grad()
def start_from_codebook(vae: TiTok, shipped: TiTok) -> None:
    """Fills `vae` with the weights of a tokenizer whose tokens have unit length.

    Its features are whitened, so their length is about sqrt(d): the decoder's first layer shrinks
    by that, and the mean of the posterior draws what the codes drew.
    """
    own = vae.state_dict()
    d = VAE_SPEC.token_size
    for key, value in shipped.state_dict().items():
        if key in own and not key.startswith("encoder.conv_out."):
            own[key].copy_(value)
    own["decoder.decoder_embed.weight"].div_(d**0.5)
    for part in ("weight", "bias"):
        target = own[f"encoder.conv_out.{part}"]
        target[:d].copy_(shipped.state_dict()[f"encoder.conv_out.{part}"])
        target[d:].zero_()
    own["encoder.conv_out.bias"][d:].fill_(FIRST_LOGVAR)


def export_vae(task: VaeTask, folder: Path) -> None:
    """The averaged weights as a folder that `load_tokenizer` reads."""
    save_tokenizer(task.average.module, folder)
