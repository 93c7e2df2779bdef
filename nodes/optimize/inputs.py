"""The inputs that every node which runs the optimization has: Token Optimizer, and Sweep.

`more` is a sentence of the node's own behind the explanation.
"""

from __future__ import annotations

from ...tokenopt_core.optimize.config import KEEPS, REGULARIZERS
from ..host import widgets
from ..host.compat import advanced, io
from ..host.sockets import OptionsSocket

MOST_STEPS = 10000


def steps_input(default: int, tooltip: str) -> io.Input:
    return io.Int.Input("steps", default=default, min=1, max=MOST_STEPS, tooltip=tooltip)


def lr_input() -> io.Input:
    return io.Float.Input(
        "lr",
        default=0.0,
        min=0.0,
        max=10.0,
        step=0.01,
        tooltip="Learning rate of Adam. More: faster and rougher. 0: the tokenizer's "
        "recommendation (demo: 0.3 with a cosine schedule; released ones: 0.1, as in the paper's "
        "code).",
    )


def run_seed_input(more: str) -> io.Input:
    return widgets.seed(f"Seed for crops and noise. {more}", control_after_generate=True)


def quantize_input() -> io.Input:
    return io.Boolean.Input(
        "quantize",
        default=True,
        tooltip="Decode only codebook entries, which keeps images natural. Off: tokens are "
        "continuous; lower losses, less natural images.",
    )


def ema_decay_input(more: str = "") -> io.Input:
    return io.Float.Input(
        "ema_decay",
        default=0.95,
        min=0.0,
        max=0.9999,
        step=0.01,
        round=0.0001,
        tooltip="Decay of the running average: 0.95 averages over about 20 steps, 0.98 (paper) "
        f"over about 50. More: steadier, and slower to follow.{more}",
    )


def noise_scale_input(default: float, more: str) -> io.Input:
    return io.Float.Input(
        "noise_scale",
        default=default,
        min=0.0,
        max=10.0,
        step=0.0001,
        round=0.0001,
        tooltip="Standard deviation of the noise at the start, in units of the tokens, fading out "
        f"over two thirds of the run. More: larger jumps. {more}",
    )


def regularize_input(more: str) -> io.Input:
    return io.Combo.Input(
        "regularize",
        options=list(REGULARIZERS),
        default="none",
        tooltip="Penalize the distance of the tokens from the start (seed: stays closer to the "
        "image) or from zero (keeps them small, so that late steps still matter). none: off. "
        f"{more}",
    )


def reg_weight_input() -> io.Input:
    return io.Float.Input(
        "reg_weight",
        default=0.02,
        min=0.0,
        max=100.0,
        step=0.001,
        round=0.0001,
        tooltip="Weight of that penalty (paper: weak, about 0.02). More: smaller changes.",
    )


def reset_every_input() -> io.Input:
    return io.Int.Input(
        "reset_every",
        default=0,
        min=0,
        max=MOST_STEPS,
        tooltip="Every this many steps, restore the known pixels of the L1 Masked Loss and encode "
        "the image again (paper: when inpainting; demo world: no gain shown). 0: never. Needs an "
        "L1 Masked Loss.",
    )


def keep_input(average: str, **more) -> io.Input:
    """`average` says what the average is of."""
    return io.Combo.Input(
        "keep",
        options=list(KEEPS),
        default="average",
        tooltip=f"Which tokens to return. average: {average}. best: for each image, those with the "
        "lowest smoothed loss. last: the tokens after the last step.",
        **more,
    )


def options_input() -> io.Input:
    return OptionsSocket.Input(
        "options",
        optional=True,
        tooltip="More settings, from Token Optimizer Options; without it their defaults.",
    )


def optimizer_inputs() -> list[io.Input]:
    """All inputs in display order. Append new ones at the end: saved workflows count positions."""
    return [*_sockets(), *_everyday(), *_tweaks(), *_added_later()]


def _sockets() -> list[io.Input]:
    return [
        widgets.tokenizer(),
        widgets.tokens(
            "The starting point: TiTok Encode (edit an image), Random Tokens (generate), or the "
            "tokens of another Token Optimizer (continue)."
        ),
        widgets.loss("The loss to minimize: CLIP Loss, L1 Masked Loss or both combined."),
    ]


def _everyday() -> list[io.Input]:
    return [
        steps_input(
            200,
            "Number of steps. More: lower loss, further from the start (paper: 300 for edits, 400 "
            "from random tokens).",
        ),
        lr_input(),
        run_seed_input("The images of a batch use seed, seed + 1, ..."),
        quantize_input(),
        io.Boolean.Input(
            "ema",
            default=True,
            tooltip="Return a running average of the tokens, which is steadier. Off: the last "
            "tokens.",
        ),
        advanced(ema_decay_input()),
    ]


def _tweaks() -> list[io.Input]:
    return [
        io.Boolean.Input(
            "token_noise",
            default=False,
            tooltip="Add noise to the tokens in the first two thirds of the run, fading out. Off: "
            "none. Paper: from random tokens and when inpainting. Demo world: no gain shown, nor "
            "for edits.",
        ),
        advanced(noise_scale_input(0.1, "Used when token_noise is on.")),
        regularize_input(
            "Paper: weakly, from random tokens and when inpainting. Demo world: seed harms "
            "inpainting, because it pulls towards the start, which still has the hole."
        ),
        advanced(reg_weight_input()),
        advanced(reset_every_input()),
        advanced(
            io.Int.Input(
                "preview_every",
                default=5,
                min=0,
                max=1000,
                tooltip="Update the preview in the node every this many steps. More: less often, "
                "which saves a little time. 0: only a progress bar.",
            )
        ),
    ]


def _added_later() -> list[io.Input]:
    return [
        options_input(),
        keep_input("the running average if ema is on, otherwise the last tokens", optional=True),
        widgets.caption(),
    ]
