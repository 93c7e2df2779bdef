"""Demo Scene: images of the small drawn world that the demo models know."""

from __future__ import annotations

from ...tokenopt_core.demo.captions import caption
from ...tokenopt_core.demo.world import ATTRIBUTES, render, sample
from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from ..host.images import from_images

RANDOM = "random"

_TOOLTIPS = {
    "shape": "The object's shape.",
    "colour": "The object's colour.",
    "size": "The object's size, small or large.",
    "position": "Where the object is: left, middle or right.",
    "background": "The background's colour.",
    "pattern": "The background's pattern.",
    "light": "Lighting of the whole scene, bright or dark.",
    "focus": "Whether the scene is sharp or blurred, as if out of focus.",
}


class DemoScene(io.ComfyNode):
    """Scenes with known attributes, and their captions."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_DemoScene",
            display_name="Demo Scene",
            category=f"{CATEGORY}/image",
            description="Draws small scenes (64x64) to try the pack without any upload.",
            search_aliases=["example image", "test image", "shapes"],
            inputs=[
                widgets.seed(
                    "Seed for everything set to 'random' below, and for small variations in "
                    "position and tint. The same seed draws the same scenes.",
                    control_after_generate=True,
                ),
                widgets.batch_size(
                    "Number of scenes to draw. More: a larger batch for all following nodes."
                ),
                *(
                    io.Combo.Input(
                        name,
                        options=[RANDOM, *values],
                        default=RANDOM,
                        tooltip=f"{_TOOLTIPS[name]} 'random' draws one for each scene.",
                    )
                    for name, values in ATTRIBUTES.items()
                ),
            ],
            outputs=[
                widgets.image_output("The scenes, 64x64 pixels each."),
                widgets.text_output(
                    "caption",
                    "A description of each scene, one per line, in words that the demo "
                    "guide knows.",
                ),
            ],
        )

    @classmethod
    def execute(cls, seed: int, batch_size: int, **choices: str) -> io.NodeOutput:
        fixed = {name: value for name, value in choices.items() if value != RANDOM}
        scenes = sample(batch_size, seed).replace(**fixed)
        return io.NodeOutput(from_images(render(scenes, seed)), "\n".join(caption(scenes)))
