"""Token Optimizer Options: schedule, stopping rules, locked tokens, precision, frames."""

from __future__ import annotations

import math

from ...tokenopt_core.checks import shown
from ...tokenopt_core.compute.precision import PRECISIONS
from ...tokenopt_core.optimize.config import AUTO, LR_SCHEDULES
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
            description="Settings that most edits do not need: learning rate schedule, early "
            "stopping, locked tokens, precision, frames.",
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
            tooltip="How lr changes during the run. cosine: it decays to almost 0 at the last "
            "step, so the result settles. constant: no decay. auto: constant, or with an lr of 0 "
            "the tokenizer's recommendation.",
        ),
        io.Int.Input(
            "warmup",
            default=0,
            min=0,
            max=10000,
            tooltip="Number of steps at the start in which the learning rate rises to its value. "
            "More: a gentler start. 0: none.",
        ),
        io.Float.Input(
            "max_grad_norm",
            default=0.0,
            min=0.0,
            max=1000.0,
            step=0.01,
            round=0.0001,
            tooltip="Clip each image's gradient to this norm, which prevents sudden jumps. "
            "Smaller: stronger clipping. 0: no limit.",
        ),
        widgets.positions(
            "",
            "Tokens that are not optimized: numbers from 0 and ranges, separated by commas. Keeps "
            "the properties that they carry, such as lighting or background. Empty: none.",
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
            tooltip="Stop an image after this many steps without a gain. More: waits longer; 50 "
            "to 100 is usual. 0: never.",
        ),
        io.Float.Input(
            "min_gain",
            default=0.001,
            min=0.0,
            max=100.0,
            step=0.0001,
            round=0.00001,
            tooltip="Decrease of the smoothed loss that counts as a gain for patience. More: "
            "stops sooner.",
        ),
        io.String.Input(
            "target",
            default="",
            placeholder="none",
            tooltip="Stop an image as soon as its smoothed loss reaches this value or less, for "
            "example -0.35 with CLIP Loss. The chart shows typical values. Empty: no target.",
        ),
        io.Float.Input(
            "seconds",
            default=0.0,
            min=0.0,
            max=86400.0,
            step=1.0,
            tooltip="Time limit: the run ends after this many seconds with its current result, "
            "which then depends on the machine's speed. 0: no limit.",
        ),
    ]


def _rest() -> list[io.Input]:
    return [
        io.Combo.Input(
            "precision",
            options=list(PRECISIONS),
            default=AUTO,
            tooltip="Precision of the models. auto: 16 bits on a GPU, and for large models on a "
            "CPU that is clearly faster with them; otherwise 32. float32, bfloat16, float16: "
            "always that one. The optimization itself always uses 32 bits.",
        ),
        io.Boolean.Input(
            "clamp",
            default=True,
            tooltip="Clamp pixels to 0 to 1 before the loss. Off: the loss gets the decoder's raw "
            "output; then add Pixel Penalty, or out-of-range colours can fool the loss.",
        ),
        io.Boolean.Input(
            "warm_restart",
            default=False,
            tooltip="Continue exactly where the Token Optimizer that made the tokens ended, with "
            "its Adam state and average: 50 steps and 50 more equal 100. Off: start fresh from "
            "the tokens.",
        ),
        io.Int.Input(
            "trajectory_frames",
            default=FRAMES,
            min=0,
            max=MOST_FRAMES,
            tooltip="Number of frames of the trajectory output, evenly spaced from the start to "
            "the result. 0: only the result.",
        ),
    ]
