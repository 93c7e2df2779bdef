"""Small tokenizers, one of each layout, for the tests of loading and of the boundary."""

from __future__ import annotations

from dataclasses import replace

from tokenopt_core.tokenizers import PixelStage, TokenizerSpec, ViTSize

SMALL = ViTSize(width=64, layers=2, heads=1)
VQ = TokenizerSpec(
    name="vq",
    image_size=16,
    num_tokens=4,
    token_size=6,
    codebook_size=32,
    l2_normalized=True,
    encoder=SMALL,
    decoder=SMALL,
    encoder_patch=8,
    decoder_patch=8,
)
VAE = replace(VQ, name="vae", kind="vae", codebook_size=None, l2_normalized=False)
TEXT = replace(VQ, name="text", layout="tatitok", text_length=3, text_size=5)
LEGACY = replace(
    VQ,
    name="legacy",
    legacy=True,
    pixel_stage=PixelStage(
        hidden_channels=32, channel_mult=(1, 1, 1, 1), z_channels=8, num_embeddings=16
    ),
)
VQGAN = TokenizerSpec(
    name="vqgan",
    layout="maskgit-vqgan",
    image_size=16,
    num_tokens=16,
    token_size=8,
    codebook_size=16,
    pixel_stage=PixelStage(
        hidden_channels=32, channel_mult=(1, 2, 1), z_channels=8, num_embeddings=16
    ),
)
ALL = [VQ, VAE, TEXT, LEGACY, VQGAN]
