"""The plain loop that speed is compared with: a step as the published code does it.

Same weights, same arithmetic, none of the care: weights that ask for gradients, a Python loop over
crops, attention and convolutions as they come, every row computed, the average taken from the
device at each step (the published code's costs: its autocast keeps float32 weights, and on a CPU
it computes in float32).

Axes: b images, n tokens, d token size, s pixels a side.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenopt_core import Guide, Tokenizer
from tokenopt_core.compute.seeds import CROP_STREAM, generators
from tokenopt_core.images.crops import crop_side, draw_crops
from tokenopt_core.tokenizers import TiTok


class PlainLoop:
    """One published optimization; `step()` makes one step and gives the loss (b,)."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        guide: Guide,
        target: Tensor,
        features: Tensor,
        *,
        seeds: Sequence[int],
        crops: int = 8,
        crop_area: float = 0.765625,
        lr: float = 0.1,
        ema_decay: float = 0.98,
        dtype: torch.dtype = torch.float32,
    ):
        """
        Args:
            target: (1, e), the embedding of the prompt.
            dtype: of autocast; float32 is none.
        """
        self.tokenizer, self.guide, self.target = tokenizer, guide, target
        self.crops, self.area, self.decay, self.dtype = crops, crop_area, ema_decay, dtype
        self.sources = generators(seeds, CROP_STREAM)
        self.variable = nn.Parameter(features.clone())
        self.optimizer = torch.optim.Adam([self.variable], lr=lr)
        self.scaler = torch.amp.GradScaler(features.device.type, enabled=dtype == torch.float16)
        self.average: Tensor | None = None

    def step(self) -> Tensor:
        device = self.variable.device.type
        lower = torch.autocast(device, self.dtype) if self.dtype != torch.float32 else nullcontext()
        with lower:
            tokens = plain_quantize(self.tokenizer, self.variable)
            images = plain_decode(self.tokenizer, tokens)
            loss = self._loss(images)
        self.optimizer.zero_grad()
        self.scaler.scale(loss.sum()).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self._keep_average()
        return loss.detach()

    def _loss(self, images: Tensor) -> Tensor:
        """Minus the mean similarity of random crops, one after the other, the same of each image.

        The first image's, which are those of our loop for a single image.
        """
        side, size = crop_side(*images.shape[2:], self.area), self.guide.image_size
        limit = images.shape[2] - side + 1
        drawn = draw_crops(self.sources[:1], self.crops, limit, limit, flip=True)
        mean, std = (
            torch.tensor(each, dtype=images.dtype, device=images.device).view(3, 1, 1)
            for each in (self.guide.mean, self.guide.std)
        )
        views = []
        for top, left, mirrored in drawn[0].tolist():
            crop = images[:, :, top : top + side, left : left + side]
            crop = crop.flip(3) if mirrored else crop
            if side != size:
                crop = F.interpolate(crop, (size, size), mode="bilinear", antialias=True)
            views.append((crop - mean) / std)
        embedded = F.normalize(self.guide.visual(torch.cat(views)).float(), dim=-1)
        embedded = embedded.unflatten(0, (self.crops, len(images))).mean(0)
        return -(embedded * self.target).sum(-1)

    def _keep_average(self) -> None:
        """The published average lives on the CPU, and is read back at each step."""
        value = self.variable.detach()
        if self.average is None:
            self.average = value.clone()
        else:
            self.average += (1 - self.decay) * (value - self.average)
        self.average.cpu().to(value.device)


def plain_quantize(tokenizer: Tokenizer, features: Tensor) -> Tensor:
    """Straight-through tokens, with the codebook normalized again at each call."""
    with torch.autocast(features.device.type, enabled=False):
        entries = tokenizer.quantize.embedding.weight.float()
        if tokenizer.spec.l2_normalized:
            features, entries = F.normalize(features, dim=-1), F.normalize(entries, dim=-1)
        distances = (
            features.square().sum(-1, keepdim=True)
            + entries.square().sum(-1)
            - 2 * torch.einsum("bnd,kd->bnk", features, entries)
        )
        tokens = F.embedding(distances.argmin(-1), entries)
        return features + (tokens - features).detach()


def plain_decode(tokenizer: TiTok, tokens: Tensor) -> Tensor:
    """Images of the legacy tokenizer: every row of every block, then convolutions in NCHW."""
    decoder, batch = tokenizer.decoder, len(tokens)
    patches = decoder.mask_token.repeat(batch, decoder.grid**2, 1)
    first = decoder.class_embedding[None].expand(batch, -1, -1)
    x = torch.cat((first, patches), dim=1) + decoder.positional_embedding
    latents = decoder.decoder_embed(tokens) + decoder.latent_token_positional_embedding
    x = decoder.ln_pre(torch.cat((x, latents), dim=1))
    for block in decoder.transformer:
        x = x + _attend(block.attn, block.ln_1(x))
        x = x + block.mlp(block.ln_2(x))
    x = decoder.ln_post(x[:, 1 : 1 + decoder.grid**2])
    x = x.transpose(1, 2).unflatten(2, (decoder.grid, decoder.grid)).contiguous()
    for layer in decoder.ffn:
        x = layer(x)
    latents = torch.einsum("bkhw,kc->bchw", x.softmax(1), tokenizer.pixel_quantize.embedding.weight)
    return tokenizer.pixel_decoder(latents.contiguous())


def _attend(attention: nn.Module, x: Tensor) -> Tensor:
    """As `torch.nn.MultiheadAttention`, which the published code calls, does it."""
    x = x.transpose(0, 1)
    out, _ = F.multi_head_attention_forward(
        x, x, x, x.shape[-1], attention.heads,
        attention.in_proj_weight, attention.in_proj_bias, None, None, False, 0.0,
        attention.out_proj.weight, attention.out_proj.bias, training=False, need_weights=False,
    )  # fmt: skip
    return out.transpose(0, 1)
