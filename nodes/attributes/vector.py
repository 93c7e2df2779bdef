"""Attribute Vector: a property as a direction in token space, learnt from two sets of images."""

from __future__ import annotations

import torch

from ...tokenopt_core.checks import shortened
from ...tokenopt_core.tokens.attributes import attribute_vector
from ...tokenopt_core.tokens.positions import parse_positions
from ..host import widgets
from ..host.compat import CATEGORY, advanced, io, schema
from ..host.models import gradient_scope
from ..host.sockets import AttributeSocket, LoadedTokenizer, Tokens
from .report import notes, table

MOST_POSITIONS = 4096


class AttributeVector(io.ComfyNode):
    """The difference between the tokens of images with a property and of images without it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_AttributeVector",
            display_name="Attribute Vector",
            category=f"{CATEGORY}/attributes",
            description="Learns a property from examples: the mean tokens of images with it minus "
            "the mean tokens of images without it. Apply Attribute adds it to other images.",
            search_aliases=["direction", "concept", "average difference", "day night"],
            has_intermediate_output=True,
            inputs=[*_sets(), *_choices(), *_names()],
            outputs=[
                AttributeSocket.Output(
                    display_name="attribute",
                    tooltip="The property as a direction of the tokens, for Apply Attribute and "
                    "Save Attribute.",
                ),
                widgets.text_output(
                    "positions", "The positions that it changes, for example for Token Copy."
                ),
                widgets.text_output("table", "How well each position separates the two sets."),
            ],
        )

    @classmethod
    def execute(
        cls,
        tokenizer: LoadedTokenizer,
        tokens_with: Tokens,
        tokens_without: Tokens,
        positions: str = "all",
        strongest: int = 0,
        name_with: str = "with",
        name_without: str = "without",
    ) -> io.NodeOutput:
        chosen = parse_positions(positions, tokenizer.spec.num_tokens)
        with gradient_scope(tokenizer), torch.no_grad():
            attribute = attribute_vector(
                tokenizer.module,
                tokens_with.values.clone(),
                tokens_without.values.clone(),
                name=tokenizer.name,
                names=(_called(name_with, "with"), _called(name_without, "without")),
                positions=chosen,
                strongest=strongest,
            )
        where = ", ".join(map(str, attribute.positions))
        shown = {"tokenopt_notes": notes(attribute)}
        return io.NodeOutput(attribute, where, table(attribute), ui=shown)


def _sets() -> list[io.Input]:
    return [
        widgets.tokenizer("The tokenizer that made both sets, from Load TiTok."),
        widgets.tokens(
            "Tokens of a batch of images that have the property, for example blurred ones.",
            name="tokens_with",
        ),
        widgets.tokens(
            "Tokens of images without it. Ideally the same scenes, otherwise many images (32 or "
            "more of each): any other difference between the two sets is transferred too.",
            name="tokens_without",
        ),
    ]


def _choices() -> list[io.Input]:
    return [
        widgets.positions(
            "all",
            "Positions that the attribute may change, counted from 0: all, or numbers and ranges.",
            placeholder="all, 18, 31 or 0-3, 7",
            optional=True,
        ),
        io.Int.Input(
            "strongest",
            default=0,
            min=0,
            max=MOST_POSITIONS,
            optional=True,
            tooltip="Use only this many of these positions, those where the two sets differ most "
            "relative to their spread. 0: all of them. Fewer keep more of the image.",
        ),
    ]


def _names() -> list[io.Input]:
    return [
        advanced(
            io.String.Input(
                "name_with",
                default="with",
                optional=True,
                tooltip="Name of the first set, for example blurred; stored in saved files.",
            )
        ),
        advanced(
            io.String.Input(
                "name_without",
                default="without",
                optional=True,
                tooltip="Name of the second set, for example sharp.",
            )
        ),
    ]


def _called(name: str, default: str) -> str:
    """A name for a set, on one line and short enough for notes and files."""
    return shortened(" ".join(name.split())) or default
