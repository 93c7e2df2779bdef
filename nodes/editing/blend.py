"""Token Blend: between two images, and all the way as a morph."""

from __future__ import annotations

import torch

from ...tokenopt_core.tokens.edits import blend_tokens, morph_strengths
from ...tokenopt_core.tokens.positions import parse_positions
from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from ..host.models import gradient_scope
from ..host.sockets import LoadedTokenizer, Tokens
from ..tokens.batches import as_decoded

MOST_STEPS = 240


class Blend(io.ComfyNode):
    """Tokens on the way from a target to a reference: one place on it, or many in a row."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_Blend",
            display_name="Token Blend",
            category=f"{CATEGORY}/editing",
            description="Interpolates the tokens of a target towards those of a reference. With "
            "several steps: a morph, one image per step.",
            search_aliases=["morph", "interpolate", "mix", "crossfade"],
            inputs=[
                widgets.tokenizer("The tokenizer that made both inputs, from Load TiTok."),
                widgets.tokens(
                    "Tokens of the start: one image, or one per reference.", name="target"
                ),
                widgets.tokens(
                    "Tokens of the end: one image for all targets, or one each.", name="reference"
                ),
                widgets.positions(
                    "all",
                    "Which tokens to interpolate, counted from 0; all others keep the target's "
                    "values.",
                    placeholder="all, 18, 31 or 0-3, 7",
                ),
                io.Float.Input(
                    "strength",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How far to go: 0 is the target, 1 the reference's tokens.",
                ),
                io.Int.Input(
                    "steps",
                    default=1,
                    min=1,
                    max=MOST_STEPS,
                    tooltip="Images per target. 1: only the blend. More: a morph from the target "
                    "to the full strength in even steps.",
                ),
                io.Boolean.Input(
                    "quantize",
                    default=False,
                    tooltip="Off: intermediate tokens are decoded without rounding, which is "
                    "smooth. On: each is rounded to the nearest code when decoded, so tokens jump "
                    "one after another.",
                ),
            ],
            outputs=[
                widgets.tokens_output(
                    "The interpolated tokens: all steps of the first image, then those of the next."
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        tokenizer: LoadedTokenizer,
        target: Tokens,
        reference: Tokens,
        positions: str,
        strength: float,
        steps: int,
        quantize: bool,
    ) -> io.NodeOutput:
        chosen = parse_positions(positions, target.values.shape[1])
        with gradient_scope(tokenizer), torch.no_grad():
            ends = [
                tokens.values.clone() if quantize else as_decoded(tokenizer, tokens)
                for tokens in (target, reference)
            ]
            values = blend_tokens(
                *ends,
                chosen,
                morph_strengths(strength, steps),
                directions=tokenizer.spec.l2_normalized,
            )
        return io.NodeOutput(Tokens(values, not quantize, tokenizer.name))
