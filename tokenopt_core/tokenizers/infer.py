"""Inference of a tokenizer's architecture from the shapes of a checkpoint's tensors.

All of a `TokenizerSpec` can be read from them but four things, for which the rules of the
released checkpoints are used: heads of 64 channels, normalized tokens if and only if they have 12
channels, 16 x 16 latent positions in a MaskGIT-VQGAN, and 32 groups in its norms.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Any

from .spec import PixelStage, ViTSize

Shapes = Mapping[str, tuple[int, ...]]

HEAD_SIZE = 64
NORMALIZED_SIZE = 12
LATENT_GRID = 16


def infer_fields(shapes: Shapes, norm_groups: int = 32) -> dict[str, Any]:
    """Fields of a `TokenizerSpec` (all but its name) from tensor shapes by key.

    Args:
        norm_groups: of a pixel stage. Its widths must be multiples of it.

    Raises:
        KeyError: a tensor without which no tokenizer can be recognized is not there.
    """
    if "encoder.conv_in.weight" in shapes:
        return _vqgan_fields(shapes, norm_groups)
    return _titok_fields(shapes, norm_groups)


def _vqgan_fields(shapes: Shapes, norm_groups: int) -> dict[str, Any]:
    codebook_size, token_size = shapes["quantize.embedding.weight"]
    stage = _pixel_stage(shapes, "decoder", codebook_size, norm_groups)
    return {
        "layout": "maskgit-vqgan",
        "kind": "vq",
        "image_size": LATENT_GRID * stage.stride,
        "token_size": token_size,
        "codebook_size": codebook_size,
        "pixel_stage": stage,
    }


def _titok_fields(shapes: Shapes, norm_groups: int) -> dict[str, Any]:
    encoder_patch = shapes["encoder.patch_embed.weight"][-1]
    image_size = encoder_patch * isqrt(shapes["encoder.positional_embedding"][0] - 1)
    grid = isqrt(shapes["decoder.positional_embedding"][0] - 1)
    token_size = shapes["decoder.decoder_embed.weight"][1]
    codebook = shapes.get("quantize.embedding.weight")
    text = shapes.get("decoder.text_guidance_proj.weight")
    legacy = "decoder.ffn.2.weight" in shapes
    return {
        "layout": "tatitok" if text else "titok",
        "kind": "vq" if codebook else "vae",
        "image_size": image_size,
        "num_tokens": shapes["latent_tokens"][0],
        "token_size": token_size,
        "codebook_size": codebook[0] if codebook else None,
        "l2_normalized": codebook is not None and token_size == NORMALIZED_SIZE,
        "encoder": _vit_size(shapes, "encoder"),
        "decoder": _vit_size(shapes, "decoder"),
        "encoder_patch": encoder_patch,
        "decoder_patch": image_size // max(grid, 1),
        "legacy": legacy,
        "pixel_stage": _second_stage(shapes, norm_groups) if legacy else None,
        "text_length": shapes["decoder.text_guidance_positional_embedding"][0] if text else None,
        "text_size": text[1] if text else None,
    }


def _vit_size(shapes: Shapes, side: str) -> ViTSize:
    width = shapes[f"{side}.ln_pre.weight"][0]
    layers = count_modules(shapes, f"{side}.transformer.")
    return ViTSize(width=width, layers=layers, heads=max(1, width // HEAD_SIZE))


def _second_stage(shapes: Shapes, norm_groups: int) -> PixelStage:
    codes = shapes["pixel_quantize.embedding.weight"][0]
    return _pixel_stage(shapes, "pixel_decoder", codes, norm_groups)


def _pixel_stage(shapes: Shapes, prefix: str, num_embeddings: int, norm_groups: int) -> PixelStage:
    levels = count_modules(shapes, f"{prefix}.up.")
    widths = [shapes[f"{prefix}.up.{level}.block.0.conv1.weight"][0] for level in range(levels)]
    # The first factor is 1 in every known checkpoint; only the encoder's conv_in could tell.
    hidden = shapes.get("encoder.conv_in.weight", (widths[0],))[0]
    return PixelStage(
        hidden_channels=hidden,
        channel_mult=tuple(width // hidden for width in widths),
        num_res_blocks=count_modules(shapes, f"{prefix}.up.0.block."),
        z_channels=shapes[f"{prefix}.conv_in.weight"][1],
        num_embeddings=num_embeddings,
        norm_groups=norm_groups,
    )


def count_modules(shapes: Shapes, prefix: str) -> int:
    """How many submodules `prefix` has: numbered from 0, without a gap."""
    numbers = {key[len(prefix) :].split(".")[0] for key in shapes if key.startswith(prefix)}
    if "0" not in numbers:
        raise KeyError(f"{prefix}0")
    # Not the highest number: one tensor with a huge one must not make a huge network.
    return next(count for count in range(1, len(numbers) + 1) if str(count) not in numbers)
