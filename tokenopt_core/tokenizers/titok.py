"""TiTok and TA-TiTok: an image as a short sequence of tokens without a 2D grid.

arXiv 2406.07550, section 3.2, and arXiv 2501.07730, section 3.1 (the text-aware decoder).

Axes: b images, n latent tokens, d token size, p patches, w width, t text tokens, e text size,
g positions per axis. Parameter names are those of the checkpoints.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..images.fit import fit_images
from .base import Posterior, Tokenizer, check_text, check_tokens
from .quantize import Codebook, ContinuousTokens, VectorQuantizer
from .spec import TokenizerSpec
from .transformer import make_blocks, run_blocks
from .vqgan import PixelDecoder, to_grid

LOGVAR_RANGE = (-30.0, 20.0)


class TiTok(Tokenizer):
    """All TiTok and TA-TiTok variants; the spec says which.

    A new one has random weights and trains like any module: `quantize.loss` has the codebook's
    losses. Its state_dict has exactly the keys of the released checkpoints.
    """

    def __init__(self, spec: TokenizerSpec) -> None:
        super().__init__(spec)
        if spec.layout not in ("titok", "tatitok"):
            raise ValueError(f"spec.layout is {spec.layout!r}, expected 'titok' or 'tatitok'.")
        self.encoder = Encoder(spec)
        self.decoder = Decoder(spec)
        self.latent_tokens = embedding(spec.num_tokens, spec.encoder.width)
        self.apply(init_weights)
        self.quantize = VectorQuantizer(spec) if spec.kind == "vq" else ContinuousTokens(spec)
        if spec.pixel_stage:
            stage = spec.pixel_stage
            self.pixel_quantize = Codebook(stage.num_embeddings, stage.z_channels)
            self.pixel_decoder = PixelDecoder(stage)

    def encode(self, images: Tensor) -> Tensor:
        return self._encode(images)[..., : self.spec.token_size].float()

    def posterior(self, images: Tensor) -> Posterior:
        if self.spec.kind == "vq":
            return super().posterior(images)
        mean, logvar = self._encode(images).float().chunk(2, dim=-1)
        return Posterior(mean, logvar.clamp(*LOGVAR_RANGE))

    def decode(self, tokens: Tensor, text: Tensor | None = None) -> Tensor:
        check_tokens(self.spec, tokens, "tokens")
        text = check_text(self.spec, self.caption if text is None else text, len(tokens))
        dtype = self.decoder.mask_token.dtype
        x = self.decoder(tokens.to(dtype), None if text is None else text.to(tokens.device, dtype))
        if not self.spec.legacy:
            return x.float()
        latents = x.float().softmax(-1).to(x.dtype) @ self.pixel_quantize.embedding.weight
        return self.pixel_decoder(to_grid(latents, self.spec.grid)).float()

    def _encode(self, images: Tensor) -> Tensor:
        images = fit_images(images, self.spec.image_size)
        return self.encoder(images.to(self.latent_tokens.dtype), self.latent_tokens)


class Encoder(nn.Module):
    """Images (b, 3, s, s) -> features (b, n, d), with 2 * d channels for a VAE."""

    def __init__(self, spec: TokenizerSpec) -> None:
        super().__init__()
        width, patch = spec.encoder.width, spec.encoder_patch
        self.legacy = spec.legacy
        self.patch_embed = nn.Conv2d(3, width, patch, patch)
        self.class_embedding = embedding(1, width)
        self.positional_embedding = embedding((spec.image_size // patch) ** 2 + 1, width)
        self.latent_token_positional_embedding = embedding(spec.num_tokens, width)
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = make_blocks(spec.encoder)
        self.ln_post = nn.LayerNorm(width)
        self.conv_out = nn.Conv2d(width, spec.token_size * (2 if spec.kind == "vae" else 1), 1)

    def forward(self, images: Tensor, latent_tokens: Tensor) -> Tensor:
        batch, latents = len(images), len(latent_tokens)
        patches = self.patch_embed(images).flatten(2).transpose(1, 2)  # (b, p, w)
        first = self.class_embedding + self.positional_embedding[:1]
        patches = patches + self.positional_embedding[1:]
        last = latent_tokens + self.latent_token_positional_embedding
        x = torch.cat((first.expand(batch, -1, -1), patches, last.expand(batch, -1, -1)), dim=1)
        x = run_blocks(self.transformer, self.ln_pre(x), slice(-latents, None))
        x = self.ln_post(x)  # (b, n, w)
        if self.legacy:
            # The checkpoints read the (n, w) buffer of an image as (w, n): every feature mixes
            # channels of all latent tokens.
            x = x.reshape(batch, -1, latents).transpose(1, 2)
        return pointwise(self.conv_out, x)


class Decoder(nn.Module):
    """Tokens (b, n, d) -> images (b, 3, s, s); legacy: the pixel stage's logits (b, p, codes)."""

    def __init__(self, spec: TokenizerSpec) -> None:
        super().__init__()
        width, patch = spec.decoder.width, spec.decoder_patch
        self.grid = spec.image_size // patch
        self.decoder_embed = nn.Linear(spec.token_size, width)
        self.class_embedding = embedding(1, width)
        self.positional_embedding = embedding(self.grid**2 + 1, width)
        self.mask_token = nn.Parameter(embedding(1, width)[None].detach())
        self.latent_token_positional_embedding = embedding(spec.num_tokens, width)
        if spec.text_length:
            self.text_guidance_proj = nn.Linear(spec.text_size, width)
            self.text_guidance_positional_embedding = embedding(spec.text_length, width)
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = make_blocks(spec.decoder)
        self.ln_post = nn.LayerNorm(width)
        if spec.legacy:
            codes = spec.pixel_stage.num_embeddings
            self.ffn = nn.ModuleList(
                (nn.Conv2d(width, 2 * width, 1), nn.Tanh(), nn.Conv2d(2 * width, codes, 1))
            )
            self.conv_out = None
        else:
            self.ffn = nn.ModuleList((nn.Conv2d(width, 3 * patch**2, 1),))
            self.conv_out = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, tokens: Tensor, text: Tensor | None) -> Tensor:
        batch, patches = len(tokens), self.grid**2
        image_side = torch.cat((self.class_embedding, self.mask_token[0].expand(patches, -1)))
        image_side = image_side + self.positional_embedding
        latents = self.decoder_embed(tokens) + self.latent_token_positional_embedding
        x = [image_side.expand(batch, -1, -1), latents]
        if text is not None:
            x.append(self.text_guidance_proj(text) + self.text_guidance_positional_embedding)
        x = self.ln_pre(torch.cat(x, dim=1))
        x = self.ln_post(run_blocks(self.transformer, x, slice(1, 1 + patches)))  # (b, p, w)
        x = pointwise(self.ffn[0], x)
        if self.conv_out is None:
            return pointwise(self.ffn[2], x.tanh())
        return self.conv_out(unpatch(x, self.grid))


def embedding(count: int, width: int) -> nn.Parameter:
    """A learned (count, width) table, normal with standard deviation width ** -0.5."""
    return nn.Parameter(torch.randn(count, width) * width**-0.5)


def init_weights(module: nn.Module) -> None:
    """Give a linear or convolutional layer TiTok's initial values."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


def pointwise(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """A 1x1 convolution over the last axis of x (b, n, channels)."""
    return F.linear(x, layer.weight.flatten(1), layer.bias)


def unpatch(x: Tensor, grid: int) -> Tensor:
    """Patches (b, g * g, rows * columns * 3), colour fastest, as images (b, 3, s, s)."""
    x = x.unflatten(2, (-1, 3))
    patch = round(x.shape[2] ** 0.5)
    x = x.view(len(x), grid, grid, patch, patch, 3)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(len(x), 3, grid * patch, grid * patch)
