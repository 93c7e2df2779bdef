"""Position Preset: token positions that are known to carry a property."""

from __future__ import annotations

from ...tokenopt_core.tokens.positions import PRESETS, PROPERTIES, preset_positions
from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from ..host.sockets import LoadedTokenizer


class PositionPreset(io.ComfyNode):
    """What the paper and measurements know about the positions of some tokenizers."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        known = "; ".join(f"{name}: {', '.join(presets)}" for name, presets in PRESETS.items())
        return schema(
            node_id="TokenOpt_PositionPreset",
            display_name="Position Preset",
            category=f"{CATEGORY}/editing",
            description="Outputs the token positions that are known to carry a property such as "
            "lighting, for the positions input of Token Copy, Apply Attribute and others.",
            search_aliases=["token numbers", "lighting", "blur"],
            has_intermediate_output=True,
            inputs=[
                widgets.tokenizer("From Load TiTok: positions differ between tokenizers."),
                io.Combo.Input(
                    "preset",
                    options=list(PROPERTIES),
                    tooltip=f"The property. Known for {known}.",
                ),
            ],
            outputs=[
                widgets.text_output(
                    "positions", "The positions as text, such as 31, or 12, 24, 27 for several."
                )
            ],
        )

    @classmethod
    def execute(cls, tokenizer: LoadedTokenizer, preset: str) -> io.NodeOutput:
        names = (tokenizer.name, tokenizer.spec.name)
        text = ", ".join(map(str, preset_positions(preset, *names)))
        return io.NodeOutput(text, ui={"tokenopt_notes": [f"{preset}: {text}"]})
