"""The inputs of Easy Text Edit and Easy Inpaint. Append new ones at the end."""

from __future__ import annotations

from ..host import widgets
from ..host.compat import io
from ..optimize.inputs import MOST_STEPS, run_seed_input

# What is loaded for a choice: tokenizer and guide, as Load TiTok and Load CLIP Guide call them.
MODELS = {
    "demo": ("demo", "demo"),
    "photos": ("titok-l32", "ViT-B-32/laion2b_s34b_b79k"),
}
STEPS, TRIES, MOST_TRIES = 200, 3, 16


def run_inputs() -> list[io.Input]:
    """Models, how long, how often, and which chance."""
    return [
        io.Combo.Input(
            "models",
            options=list(MODELS),
            default="demo",
            tooltip="demo: included in the pack, needs no download, knows only the scenes of Demo "
            "Scene. photos: for all other images; 3.2 GB (titok-l32 and ViT-B-32) are downloaded "
            "on the first run. Others: connect tokenizer and guide.",
        ),
        io.Int.Input(
            "steps",
            default=STEPS,
            min=1,
            max=MOST_STEPS,
            tooltip="Number of optimization steps. More: closer to the prompt and further from "
            "the input image; fewer: a weaker change.",
        ),
        io.Int.Input(
            "tries",
            default=TRIES,
            min=1,
            max=MOST_TRIES,
            tooltip="Number of runs in parallel with different seeds; the one with the lowest "
            "loss is returned. More: fewer failures, more time and memory.",
        ),
        run_seed_input("A different seed gives a different result."),
    ]


def model_sockets() -> list[io.Input]:
    return [
        widgets.tokenizer("From Load TiTok; replaces the choice in models.", optional=True),
        widgets.guide("From Load CLIP Guide; replaces the choice in models.", optional=True),
    ]


def easy_outputs(image_tooltip: str) -> list[io.Output]:
    return [
        widgets.image_output(image_tooltip),
        widgets.text_output("record", "All runs as JSON, for Save Image with Record."),
    ]
