"""Tokens to Text and Text to Tokens: an image as a line of text."""

from __future__ import annotations

import torch

from ...tokenopt_core.tokens.text import codes_to_text, exact_codes, text_to_codes
from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from ..host.models import gradient_scope
from ..host.sockets import LoadedTokenizer, Tokens


class TokensToText(io.ComfyNode):
    """The codes of each image as a line of text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_TokensToText",
            display_name="Tokens to Text",
            category=f"{CATEGORY}/text and files",
            description="Writes each image as one line of text, short enough for a message, from "
            "which Text to Tokens restores the same image.",
            search_aliases=["codes to text", "serialize", "share"],
            is_output_node=True,
            inputs=[
                widgets.tokenizer(widgets.ITS_TOKENIZER),
                widgets.tokens(
                    "The tokens, from any node that outputs tokens, except those of a VAE."
                ),
            ],
            outputs=[widgets.text_output("text", "One line per image; also shown in the node.")],
        )

    @classmethod
    def execute(cls, tokenizer: LoadedTokenizer, tokens: Tokens) -> io.NodeOutput:
        text = text_of(tokenizer, tokens)
        return io.NodeOutput(text, ui={"tokenopt_notes": [text]})


class TextToTokens(io.ComfyNode):
    """The tokens of a text that Tokens to Text wrote."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_TextToTokens",
            display_name="Text to Tokens",
            category=f"{CATEGORY}/text and files",
            description="Converts lines from Tokens to Text, or from a PNG of Save Image with "
            "Record, back to tokens.",
            search_aliases=["text to codes", "paste", "share"],
            inputs=[
                widgets.tokenizer("The tokenizer that the text was made with, from Load TiTok."),
                io.String.Input(
                    "text",
                    multiline=True,
                    placeholder="tok1.demo. ...",
                    tooltip="Paste it here, one line per image. It must be complete and "
                    "unchanged; empty lines and surrounding spaces are ignored.",
                ),
            ],
            outputs=[
                widgets.tokens_output(
                    "The tokens of the text, quantized; decode them to see the images."
                )
            ],
        )

    @classmethod
    def execute(cls, tokenizer: LoadedTokenizer, text: str) -> io.NodeOutput:
        return io.NodeOutput(tokens_of(tokenizer, text))


def text_of(tokenizer: LoadedTokenizer, tokens: Tokens) -> str:
    """One line for each image.

    Raises:
        ValueError: no codes say the same.
    """
    with gradient_scope(tokenizer), torch.no_grad():
        codes = exact_codes(tokenizer.module, tokens.values, tokens.quantized)
        return codes_to_text(tokenizer.module, codes, tokenizer.name)


def tokens_of(tokenizer: LoadedTokenizer, text: str) -> Tokens:
    """The tokens that `text_of` wrote; raises ValueError for any other text."""
    with gradient_scope(tokenizer) as device, torch.no_grad():
        codes = text_to_codes(tokenizer.module, text, tokenizer.name)
        values = tokenizer.module.lookup(codes.to(device)).float().cpu()
        return Tokens(values, True, tokenizer.name)
