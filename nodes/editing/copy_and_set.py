"""Token Copy and Token Set: edits by single tokens (arXiv 2506.08257, section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from ...tokenopt_core.tokens.edits import (
    Positions,
    copy_tokens,
    parse_codes,
    positions_of_mask,
    set_codes,
)
from ...tokenopt_core.tokens.positions import parse_positions
from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from ..host.images import to_masks
from ..host.models import gradient_scope
from ..host.sockets import LoadedTokenizer, Tokens
from ..tokens.batches import as_decoded


class Copy(io.ComfyNode):
    """Some tokens of a reference put into a target, as they are."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_Copy",
            display_name="Token Copy",
            category=f"{CATEGORY}/editing",
            description="Copies tokens at chosen positions from a reference image to a target "
            "image. Single positions often carry one property, such as lighting or blur.",
            search_aliases=["edit tokens", "transfer", "relight", "transplant"],
            inputs=[
                widgets.tokens(
                    "Tokens of the image to change: one, or one per reference.", name="target"
                ),
                widgets.tokens(
                    "Tokens of the image to copy from: one for all targets, or one each. Same "
                    "tokenizer.",
                    name="reference",
                ),
                widgets.positions(
                    "0",
                    "Which tokens to copy, counted from 0: numbers and ranges (both ends "
                    "included), separated by commas, or all. Copying one or two changes the rest "
                    "of the image least.",
                ),
                widgets.mask(
                    "Selects the tokens instead of positions: its columns are the tokens from "
                    "left to right; a token is copied if more than half of its column is white. "
                    "One mask, or one per image.",
                    optional=True,
                ),
                widgets.tokenizer(
                    "The tokenizer that made both inputs. Needed only if one of them is quantized "
                    "and the other is not.",
                    optional=True,
                ),
            ],
            outputs=[widgets.tokens_output("The target with the reference's tokens.")],
        )

    @classmethod
    def execute(
        cls,
        target: Tokens,
        reference: Tokens,
        positions: str,
        mask: Tensor | None = None,
        tokenizer: LoadedTokenizer | None = None,
    ) -> io.NodeOutput:
        chosen = _chosen(positions, mask, target.values.shape[1])
        target, reference = _alike(target, reference, tokenizer)
        with torch.inference_mode(False):
            values = copy_tokens(target.values, reference.values, chosen)
        return io.NodeOutput(Tokens(values, target.quantized, target.tokenizer))


class SetCodes(io.ComfyNode):
    """Some tokens replaced by entries of the codebook, by number."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_Set",
            display_name="Token Set",
            category=f"{CATEGORY}/editing",
            description="Sets the codes of selected positions by hand.",
            search_aliases=["edit codes", "change codes", "by hand"],
            inputs=[
                widgets.tokenizer(widgets.ITS_TOKENIZER),
                widgets.tokens("Tokens to change, the same in every image."),
                io.String.Input(
                    "codes",
                    default="0: 0",
                    placeholder="3: 417, 7: 12",
                    tooltip="position: code, separated by commas. Codes count the entries of the "
                    "codebook from 0 (demo 0-1023, L-32 0-4095); TiTok Quantize shows those of an "
                    "image.",
                ),
            ],
            outputs=[widgets.tokens_output("The tokens with these codes, otherwise unchanged.")],
        )

    @classmethod
    def execute(cls, tokenizer: LoadedTokenizer, tokens: Tokens, codes: str) -> io.NodeOutput:
        chosen = parse_codes(codes, tokenizer.spec)
        with gradient_scope(tokenizer), torch.no_grad():
            values = set_codes(tokens.values, chosen, tokenizer.module)
        return io.NodeOutput(Tokens(values, tokens.quantized, tokenizer.name))


def _alike(
    target: Tokens, reference: Tokens, tokenizer: LoadedTokenizer | None
) -> tuple[Tokens, Tokens]:
    """Both quantized or both not, each with the image that it had.

    Among features, tokens between the codes would be rounded when decoded.
    """
    if target.quantized == reference.quantized:
        return target, reference
    if tokenizer is None:
        names = ("target", "reference") if target.quantized else ("reference", "target")
        raise ValueError(
            f"{names[0]} is quantized and {names[1]} is not, so tokenizer is needed to keep both "
            f"images; connect Load TiTok to it, or put TiTok Quantize before {names[1]}."
        )
    with gradient_scope(tokenizer), torch.no_grad():
        return tuple(
            Tokens(as_decoded(tokenizer, tokens), True, tokens.tokenizer)
            for tokens in (target, reference)
        )


def _chosen(positions: str, mask: Tensor | None, num_tokens: int) -> Positions:
    """What the mask chooses if there is one, else the text."""
    if mask is None:
        return parse_positions(positions, num_tokens)
    masks = to_masks(mask, tuple(mask.shape[-2:]))
    with torch.inference_mode(False):
        chosen = positions_of_mask(masks[:, 0], num_tokens)
    if not chosen.any():
        raise ValueError(
            f"mask chooses no token: its columns stand for the {num_tokens} tokens from left to "
            "right, and none of them is more than half white; paint wider, or invert the mask."
        )
    return chosen
