"""Random Tokens."""

from __future__ import annotations

import torch

from ..tokenopt_core.randomness import generators, image_seeds, normal
from .compat import CATEGORY, advanced, io
from .types import LoadedTokenizer, TokenizerSocket, Tokens, TokensSocket

SEEDS = 2**64


class RandomTokens(io.ComfyNode):
    """Normal features before quantization: the start of generation without a seed image (4.2)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TokenOpt_RandomTokens",
            display_name="Random Tokens",
            category=CATEGORY,
            description="Random tokens to start from when there is no image to edit.",
            inputs=[
                TokenizerSocket.Input("tokenizer", tooltip="From Load TiTok."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=SEEDS - 1,
                    control_after_generate=True,
                    tooltip="The same seed gives the same tokens on every machine. In a batch the "
                    "images have seed, seed + 1, ...",
                ),
                io.Int.Input(
                    "batch_size", default=1, min=1, max=64, tooltip="How many images to start."
                ),
                advanced(
                    io.Float.Input(
                        "scale",
                        default=1.0,
                        min=0.001,
                        max=100.0,
                        step=0.05,
                        tooltip="Standard deviation of the random numbers. For tokenizers with "
                        "normalized codes (demo, L-32, B-64, S-128) it does not change the first "
                        "image, only how far one optimizer step moves: more: slower, steadier.",
                    )
                ),
            ],
            outputs=[TokensSocket.Output(display_name="tokens", tooltip="Not yet quantized.")],
        )

    @classmethod
    def execute(
        cls, tokenizer: LoadedTokenizer, seed: int, batch_size: int, scale: float = 1.0
    ) -> io.NodeOutput:
        spec = tokenizer.spec
        with torch.inference_mode(False):
            sources = generators(image_seeds(seed, batch_size))
            values = scale * normal(sources, (spec.num_tokens, spec.token_size))
        return io.NodeOutput(Tokens(values, False, tokenizer.name))
