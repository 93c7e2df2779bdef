"""Token Copy: edits by carrying tokens between images (arXiv 2506.08257, section 3.1)."""

from __future__ import annotations

import torch

from ..tokenopt_core.positions import parse_positions
from .compat import CATEGORY, io
from .types import Tokens, TokensSocket


class Copy(io.ComfyNode):
    """Some tokens of a reference put into a target, as they are."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TokenOpt_Copy",
            display_name="Token Copy",
            category=CATEGORY,
            description="Copies tokens at chosen positions from a reference image to a target "
            "image. Single positions often carry one property, such as lighting or blur.",
            inputs=[
                TokensSocket.Input("target", tooltip="Tokens of the image to change."),
                TokensSocket.Input(
                    "reference",
                    tooltip="Tokens of the image to copy from: one for all targets, or one each. "
                    "Same tokenizer, and quantized or not like the target.",
                ),
                io.String.Input(
                    "positions",
                    default="0",
                    placeholder="18, 31 or 0-3, 7",
                    tooltip="Which tokens to copy, counted from 0: numbers and ranges (both ends "
                    "included), separated by commas. One or two keep the rest of the image best.",
                ),
            ],
            outputs=[
                TokensSocket.Output(
                    display_name="tokens", tooltip="The target with the reference's tokens."
                )
            ],
        )

    @classmethod
    def execute(cls, target: Tokens, reference: Tokens, positions: str) -> io.NodeOutput:
        _check_pair(target, reference)
        chosen = parse_positions(positions, target.values.shape[1])
        with torch.inference_mode(False):
            batch = max(len(target), len(reference))
            values = target.values.expand(batch, -1, -1).clone()
            values[:, chosen] = reference.values[:, chosen]
        return io.NodeOutput(Tokens(values, target.quantized, target.tokenizer))


def _check_pair(target: Tokens, reference: Tokens) -> None:
    if target.tokenizer != reference.tokenizer:
        raise ValueError(
            f"target has tokens of {target.tokenizer!r} and reference of {reference.tokenizer!r}; "
            "make both with the same Load TiTok node."
        )
    if target.quantized != reference.quantized:
        states = ["not quantized", "quantized"]
        raise ValueError(
            f"target is {states[target.quantized]} and reference is {states[reference.quantized]}; "
            "put a TiTok Quantize node before the one that is not quantized."
        )
    if len(target) != len(reference) and 1 not in (len(target), len(reference)):
        raise ValueError(
            f"reference has {len(reference)} images and target {len(target)}; expected one for "
            "all, or one each."
        )
