"""TiTok Encode, TiTok Quantize and TiTok Decode (TiTok: arXiv 2406.07550, section 3)."""

from __future__ import annotations

import torch

from ...tokenopt_core.compute.seeds import image_seeds
from ...tokenopt_core.images.fit import fit_images
from ...tokenopt_core.optimize.starts import sample_features
from ..host.compat import CATEGORY, advanced, io, schema
from ..host.images import from_images, to_images
from ..host.memory import in_chunks, part_size
from ..host.models import activation_bytes, gradient_scope
from ..host.sockets import LoadedTokenizer, TokenizerSocket, Tokens, TokensSocket
from ..host.widgets import SEEDS


def _tokenizer_input() -> io.Input:
    return TokenizerSocket.Input("tokenizer", tooltip="The tokenizer to use, from Load TiTok.")


def _sampling() -> list[io.Input]:
    return [
        advanced(
            io.Boolean.Input(
                "sample",
                default=False,
                optional=True,
                tooltip="Only for a VAE: draw from what the encoder finds likely; slightly "
                "different images for each seed. Off: its mean, always the same.",
            )
        ),
        advanced(
            io.Int.Input(
                "sample_seed",
                default=0,
                min=0,
                max=SEEDS - 1,
                optional=True,
                tooltip="Chooses the sample; image k of a batch has sample_seed + k.",
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
            description="Turns images into tokens (not yet quantized).",
            search_aliases=["image to tokens", "vae encode"],
            inputs=[
                _tokenizer_input(),
                io.Image.Input(
                    "image",
                    tooltip="Any size: the central square is used, resized to the tokenizer's own "
                    "size (demo 64x64, released models 256x256). Transparency is ignored.",
                ),
                *_sampling(),
            ],
            outputs=[
                TokensSocket.Output(
                    display_name="tokens", tooltip="One set of tokens per image, not yet quantized."
                )
            ],
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
            description="Replaces each token by the nearest of the tokenizer's codebook and tells "
            "the codes. TiTok Decode and Token Optimizer do the same on their own.",
            search_aliases=["codes", "codebook", "round"],
            inputs=[
                _tokenizer_input(),
                TokensSocket.Input("tokens", tooltip="The tokens, from any node that gives some."),
            ],
            outputs=[
                TokensSocket.Output(
                    display_name="tokens",
                    tooltip="The same tokens, each replaced by its nearest code's.",
                ),
                io.String.Output(
                    display_name="codes",
                    tooltip="The integers, separated by spaces, one image a line. Empty for a VAE, "
                    "which has no codebook.",
                ),
            ],
        )

    @classmethod
    def execute(cls, tokenizer: LoadedTokenizer, tokens: Tokens) -> io.NodeOutput:
        tokens.check_tokenizer(tokenizer)
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
            description="Turns tokens into images; quantizes them first where needed.",
            search_aliases=["tokens to image", "vae decode"],
            inputs=[
                _tokenizer_input(),
                TokensSocket.Input("tokens", tooltip="The tokens, from any node that gives some."),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image",
                    tooltip="One image per set of tokens, in the tokenizer's own size.",
                )
            ],
        )

    @classmethod
    def execute(cls, tokenizer: LoadedTokenizer, tokens: Tokens) -> io.NodeOutput:
        tokens.check_tokenizer(tokenizer)
        tokenizer.check_decodable()
        return io.NodeOutput(decoded(tokenizer, tokens))


def encoded(tokenizer: LoadedTokenizer, images: torch.Tensor, seed: int | None = None) -> Tokens:
    """Tokens of images (b, 3, h, w), a long batch in parts; with a seed drawn by a VAE's posterior.

    Image k is drawn with seed + k.
    """
    count, size = len(images), tokenizer.spec.image_size
    seeds = image_seeds(seed or 0, count)
    memory = activation_bytes(size, part_size(count, size), gradients=False)
    with gradient_scope(tokenizer, memory=memory) as device, torch.no_grad():

        def encode(part: slice) -> torch.Tensor:
            fitted = fit_images(images[part], size).to(device)
            if seed is not None:
                return sample_features(tokenizer.module, fitted, seeds[part]).float().cpu()
            return tokenizer.module.encode(fitted).float().cpu()

        features = torch.cat(in_chunks(count, size, encode))
        return Tokens(features, False, tokenizer.name)


def decoded(tokenizer: LoadedTokenizer, tokens: Tokens) -> torch.Tensor:
    """IMAGE of tokens; a long batch, such as a morph, is decoded in parts."""
    module, size = tokenizer.module, tokenizer.spec.image_size
    memory = activation_bytes(size, part_size(len(tokens), size), gradients=False)
    with gradient_scope(tokenizer, memory=memory) as device, torch.no_grad():

        def decode(part: slice) -> torch.Tensor:
            values = tokens.values[part].to(device)
            if not tokens.quantized:
                values = module.quantize(values).tokens
            return from_images(module.decode(values))

        return torch.cat(in_chunks(len(tokens), size, decode))
