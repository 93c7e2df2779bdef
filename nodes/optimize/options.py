"""Token Optimizer Options: schedule, stopping rules, locked tokens, precision, frames."""

from __future__ import annotations

import math

from ...tokenopt_core.checks import shown
from ...tokenopt_core.optimize.config import AUTO, LR_SCHEDULES, PRECISIONS
from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from ..host.sockets import FRAMES, Options, OptionsSocket

MOST_FRAMES = 240


class OptimizeOptions(io.ComfyNode):
    """Learning rate schedule, stopping rules, locked tokens, numbers, and what is recorded."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_OptimizeOptions",
            display_name="Token Optimizer Options",
            category=f"{CATEGORY}/optimize",
            description="Everything about a run that an everyday edit does not need: learning rate "
            "schedule, when to stop early, tokens that may not move, precision, frames.",
            search_aliases=["settings", "schedule", "early stopping", "precision", "lock tokens"],
            inputs=[*_movement(), *_stopping(), *_rest()],
            outputs=[
                OptionsSocket.Output(
                    display_name="options", tooltip="These settings, for Token Optimizer or Sweep."
                )
            ],
        )

    @classmethod
    def execute(
        cls, target: str, locked: str, warm_restart: bool, trajectory_frames: int, **settings
    ) -> io.NodeOutput:
        settings["target"] = read_target(target)
        options = Options(tuple(settings.items()), locked, warm_restart, trajectory_frames)
        return io.NodeOutput(options)


def read_target(text: str) -> float | None:
    """The number in `text`; None where it is empty."""
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(
            f"target is {shown(text)}, expected a number such as -0.3 (a loss), or nothing for no "
            "target."
        )
    return value


def _movement() -> list[io.Input]:
    return [
        io.Combo.Input(
            "lr_schedule",
            options=list(LR_SCHEDULES),
            default=AUTO,
            tooltip="How lr changes over the run. cosine: it falls to almost 0 at the last step, "
            "so the result settles. constant: it stays. auto: constant, and with an lr of 0 what "
            "suits the tokenizer.",
        ),
        io.Int.Input(
            "warmup",
            default=0,
            min=0,
            max=10000,
            tooltip="Number of first steps in which the learning rate grows to its value. More: a "
            "gentler start. 0: none.",
        ),
        io.Float.Input(
            "max_grad_norm",
            default=0.0,
            min=0.0,
            max=1000.0,
            step=0.01,
            round=0.0001,
            tooltip="Shorten each image's gradient to this length where it is longer: tames sudden "
            "jumps. Smaller: tamer. 0: no limit.",
        ),
        widgets.positions(
            "",
            "Tokens that may not move: numbers from 0 and ranges, separated by commas. Keeps what "
            "they carry, such as the light or the background. Empty: none.",
            name="locked",
        ),
    ]


def _stopping() -> list[io.Input]:
    return [
        io.Int.Input(
            "patience",
            default=0,
            min=0,
            max=10000,
            tooltip="Stop an image after so many steps without a gain; saves the steps that bring "
            "nothing. More: waits longer; 50 to 100 is usual. 0: never.",
        ),
        io.Float.Input(
            "min_gain",
            default=0.001,
            min=0.0,
            max=100.0,
            step=0.0001,
            round=0.00001,
            tooltip="What counts as a gain for patience: so much of the smoothed loss. More: stops "
            "sooner.",
        ),
        io.String.Input(
            "target",
            default="",
            placeholder="none",
            tooltip="Stop an image as soon as its smoothed loss is this number or lower, for "
            "example -0.35 with CLIP Loss. See the chart for usual values. Empty: no target.",
        ),
        io.Float.Input(
            "seconds",
            default=0.0,
            min=0.0,
            max=86400.0,
            step=1.0,
            tooltip="Time budget: the run ends after so many seconds with what it has; results "
            "then depend on the machine's speed. 0: no limit.",
        ),
    ]


def _rest() -> list[io.Input]:
    return [
        io.Combo.Input(
            "precision",
            options=list(PRECISIONS),
            default=AUTO,
            tooltip="Numbers in which the models compute. auto: 16 bits on a graphics card, and "
            "for large models on a CPU that is clearly faster with them; else 32. float32, "
            "bfloat16, float16: always that one. The search itself is always 32 bits.",
        ),
        io.Boolean.Input(
            "clamp",
            default=True,
            tooltip="Show the loss only pixels from 0 to 1. Off: it sees what the decoder gives; "
            "then add Pixel Penalty, or colours beyond white and black cheat the loss.",
        ),
        io.Boolean.Input(
            "warm_restart",
            default=False,
            tooltip="Go on exactly where the Token Optimizer that gave the tokens ended, with its "
            "momentum and average: 50 steps and 50 more are 100. Off: start afresh from them.",
        ),
        io.Int.Input(
            "trajectory_frames",
            default=FRAMES,
            min=0,
            max=MOST_FRAMES,
            tooltip="How many images of the run the trajectory output has, evenly spaced from the "
            "start to the result. 0: only the result.",
        ),
    ]
