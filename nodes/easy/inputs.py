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
            tooltip="demo: ships with the pack, needs no download, knows only the scenes of Demo "
            "Scene. photos: for all other pictures; 3.2 GB (titok-l32 and ViT-B-32) are downloaded "
            "at the first run. Others: connect tokenizer and guide.",
        ),
        io.Int.Input(
            "steps",
            default=STEPS,
            min=1,
            max=MOST_STEPS,
            tooltip="How long it works. More: closer to the prompt and further from the picture; "
            "fewer: a weaker change.",
        ),
        io.Int.Input(
            "tries",
            default=TRIES,
            min=1,
            max=MOST_TRIES,
            tooltip="How many runs are made side by side, each with its own chance; the best, by "
            "the loss, is the result. More: fewer failures, more time and memory.",
        ),
        run_seed_input("Another seed gives another result."),
    ]


def model_sockets() -> list[io.Input]:
    return [
        widgets.tokenizer("From Load TiTok, instead of the one that models says.", optional=True),
        widgets.guide("From Load CLIP Guide, instead of the one that models says.", optional=True),
    ]


def easy_outputs(image_tooltip: str) -> list[io.Output]:
    return [
        widgets.image_output(image_tooltip),
        widgets.text_output(
            "record", "The run as JSON, all tries in it, for Save Image with Record."
        ),
    ]
