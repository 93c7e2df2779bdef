"""Apply Attribute: tokens moved along an attribute, or against it.

After arXiv 2506.08257, section 3.1, where whole tokens are copied.
"""

from __future__ import annotations

import re

import torch

from ...tokenopt_core.checks import shortened
from ...tokenopt_core.tokens.attributes import Attribute, add_attribute
from ...tokenopt_core.tokens.positions import parse_positions
from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from ..host.sockets import AttributeSocket, Tokens

MOST = 100.0
MOST_STRENGTHS = 64


class ApplyAttribute(io.ComfyNode):
    """Tokens moved along an attribute, or against it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_ApplyAttribute",
            display_name="Apply Attribute",
            category=f"{CATEGORY}/attributes",
            description="Adds a property to images, or removes it, by shifting their tokens along "
            "an attribute vector. No optimization: it is instant.",
            search_aliases=["edit", "relight", "direction", "day night"],
            inputs=[
                widgets.tokens("Tokens of the images to change, quantized or not."),
                AttributeSocket.Input(
                    "attribute", tooltip="The property, from Attribute Vector or Load Attribute."
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-MOST,
                    max=MOST,
                    step=0.05,
                    tooltip="How far to shift. 1: the full difference between the two sets; often "
                    "1 to 2 is needed. 0: unchanged. Below 0: removes the property.",
                ),
                widgets.positions(
                    "",
                    "Positions to use instead of the attribute's own: all, or numbers and ranges. "
                    "Empty: its own.",
                    placeholder="the attribute's own",
                    optional=True,
                ),
                io.String.Input(
                    "strengths",
                    default="",
                    placeholder="-1, 0.5, 1",
                    optional=True,
                    tooltip="Several strengths at once, separated by commas: the batch then has "
                    "each image once per strength. Empty: only strength.",
                ),
            ],
            outputs=[
                widgets.tokens_output(
                    "Not quantized: TiTok Decode rounds them to the nearest codes."
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        tokens: Tokens,
        attribute: Attribute,
        strength: float,
        positions: str = "",
        strengths: str = "",
    ) -> io.NodeOutput:
        _, count, _ = tokens.values.shape
        chosen = parse_positions(positions, count) if positions.strip() else None
        steps = parse_strengths(strengths) if strengths.strip() else [strength]
        with torch.inference_mode(False), torch.no_grad():
            values = tokens.values.clone()
            moved = [add_attribute(values, attribute, step, chosen) for step in steps]
            row = torch.stack(moved, dim=1).flatten(0, 1)  # all strengths of an image together
        return io.NodeOutput(Tokens(row, False, tokens.tokenizer))


def parse_strengths(text: str) -> list[float]:
    """The numbers of a text such as "-1, 0.5, 1"; raises ValueError if it is none."""
    parts = re.findall(r"[^,;\s]+", text)
    if len(parts) > MOST_STRENGTHS:
        raise ValueError(
            f"strengths has {len(parts)} numbers, expected at most {MOST_STRENGTHS}; use fewer."
        )
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if not numbers:
        raise ValueError(
            f"strengths is {shortened(text)!r}, expected numbers separated by commas, such as "
            "'-1, 0.5, 1'."
        )
    wrong = [number for number in numbers if not abs(number) <= MOST]  # NaN too
    if wrong:
        raise ValueError(
            f"strengths contains {wrong[0]:g}, expected numbers from {-MOST:g} to {MOST:g}, such "
            "as 1 or -1."
        )
    return numbers
