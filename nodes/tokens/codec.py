"""TiTok Encode, TiTok Quantize and TiTok Decode (TiTok: arXiv 2406.07550, section 3)."""

from __future__ import annotations

import torch

from ..host import widgets
from ..host.compat import CATEGORY, advanced, io, schema
from ..host.images import to_images
from ..host.models import gradient_scope
from ..host.sockets import Caption, LoadedTokenizer, Tokens
from ..loaders.captions import captioned
from .batches import decoded, encoded


def _sampling() -> list[io.Input]:
    return [
        advanced(
            io.Boolean.Input(
                "sample",
                default=False,
                optional=True,
                tooltip="Only for a VAE: sample from the encoder's distribution; slightly "
                "different images for each seed. Off: its mean, always the same.",
            )
        ),
        advanced(
            widgets.seed(
                "Seed for the sample; image k of a batch uses sample_seed + k.",
                name="sample_seed",
                optional=True,
            )
        ),
    ]


class Encode(io.ComfyNode):
    """Images to features, before quantization."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_Encode",
            display_name="TiTok Encode",
            category=f"{CATEGORY}/tokens",
            description="Encodes images as tokens (not yet quantized).",
            search_aliases=["image to tokens", "vae encode"],
            inputs=[
                widgets.tokenizer(),
                widgets.image(
                    "Any size: center-cropped to a square and resized to the tokenizer's size "
                    "(demo 64x64, released models 256x256). Transparency is ignored."
                ),
                *_sampling(),
            ],
            outputs=[widgets.tokens_output("One set of tokens per image, not yet quantized.")],
        )

    @classmethod
    def execute(
        cls,
        tokenizer: LoadedTokenizer,
        image: torch.Tensor,
        sample: bool = False,
        sample_seed: int = 0,
    ) -> io.NodeOutput:
        if sample and tokenizer.spec.kind != "vae":
            raise ValueError(
                f"sample is on, but the tokenizer {tokenizer.name!r} has a codebook and nothing to "
                "draw from; switch sample off, or choose a VAE (a name with 'vae')."
            )
        seed = sample_seed if sample else None
        return io.NodeOutput(encoded(tokenizer, to_images(image), seed))


class Quantize(io.ComfyNode):
    """Features to the nearest codes of the tokenizer's codebook."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_Quantize",
            display_name="TiTok Quantize",
            category=f"{CATEGORY}/tokens",
            description="Replaces each token by the nearest entry of the tokenizer's codebook and "
            "outputs the codes. TiTok Decode and Token Optimizer do the same automatically.",
            search_aliases=["codes", "codebook", "round"],
            inputs=[
                widgets.tokenizer(),
                widgets.tokens(),
            ],
            outputs=[
                widgets.tokens_output(
                    "The quantized tokens: each replaced by its nearest codebook entry."
                ),
                widgets.text_output(
                    "codes",
                    "The codes as integers, separated by spaces, one image per line. Empty for a "
                    "VAE, which has no codebook.",
                ),
            ],
        )

    @classmethod
    def execute(cls, tokenizer: LoadedTokenizer, tokens: Tokens) -> io.NodeOutput:
        with gradient_scope(tokenizer) as device, torch.no_grad():
            quantized = tokenizer.module.quantize(tokens.values.to(device))
            values = quantized.tokens.float().cpu().clone()
        rows = [] if quantized.codes is None else quantized.codes.tolist()
        codes = "\n".join(" ".join(map(str, row)) for row in rows)
        return io.NodeOutput(Tokens(values, True, tokenizer.name), codes)


class Decode(io.ComfyNode):
    """Tokens to images; features are quantized first."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_Decode",
            display_name="TiTok Decode",
            category=f"{CATEGORY}/tokens",
            description="Decodes tokens into images; quantizes them first if needed.",
            search_aliases=["tokens to image", "vae decode"],
            inputs=[
                widgets.tokenizer(),
                widgets.tokens(),
                widgets.caption(),
            ],
            outputs=[widgets.image_output("One image per set of tokens, at the tokenizer's size.")],
        )

    @classmethod
    def execute(
        cls, tokenizer: LoadedTokenizer, tokens: Tokens, caption: Caption | None = None
    ) -> io.NodeOutput:
        return io.NodeOutput(decoded(captioned(tokenizer, caption), tokens))
