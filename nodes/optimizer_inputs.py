"""The inputs of the Token Optimizer, with their limits and explanations."""

from __future__ import annotations

from ..tokenopt_core.config import KEEPS
from .compat import advanced, io
from .options import OptionsSocket
from .tokens import SEEDS
from .types import LossSocket, TokenizerSocket, TokensSocket


def optimizer_inputs() -> list[io.Input]:
    """All inputs in display order. Append new ones at the end: saved workflows count positions."""
    return [*_sockets(), *_everyday(), *_tweaks(), *_added_later()]


def _sockets() -> list[io.Input]:
    return [
        TokenizerSocket.Input("tokenizer", tooltip="From Load TiTok."),
        TokensSocket.Input(
            "tokens",
            tooltip="Where to start: TiTok Encode (edit an image), Random Tokens (from nothing), "
            "or the tokens of another Token Optimizer (continue).",
        ),
        LossSocket.Input("loss", tooltip="The aim: CLIP Loss, L1 Masked Loss or both combined."),
    ]


def _everyday() -> list[io.Input]:
    return [
        io.Int.Input(
            "steps",
            default=200,
            min=1,
            max=10000,
            tooltip="Number of steps. More: closer to the loss's wish and further from the start "
            "(paper: 300 for edits, 400 from random tokens).",
        ),
        io.Float.Input(
            "lr",
            default=0.1,
            min=0.0,
            max=10.0,
            step=0.01,
            tooltip="Learning rate of Adam: how far tokens move in one step. More: faster and "
            "rougher (paper's code: 0.1).",
        ),
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=SEEDS - 1,
            control_after_generate=True,
            tooltip="Chooses crops and noise. In a batch the images have seed, seed + 1, ...",
        ),
        io.Boolean.Input(
            "quantize",
            default=True,
            tooltip="Decode only tokens of the codebook: keeps images natural. Off: tokens move "
            "freely, which finds lower losses and worse images.",
        ),
        io.Boolean.Input(
            "ema",
            default=True,
            tooltip="Return a running average of the tokens instead of the last ones: steadier.",
        ),
        advanced(
            io.Float.Input(
                "ema_decay",
                default=0.95,
                min=0.0,
                max=0.9999,
                step=0.01,
                round=0.0001,
                tooltip="Memory of the average; 0.95 spans about 20 steps, 0.98 (paper) about 50.",
            )
        ),
    ]


def _tweaks() -> list[io.Input]:
    return [
        io.Boolean.Input(
            "token_noise",
            default=False,
            tooltip="Add noise to the tokens in the first two thirds of the run, fading out. "
            "Paper: from random tokens and when inpainting. Demo world: edits gain by it together "
            "with ema, inpainting does not; from random tokens it is not measured yet.",
        ),
        advanced(
            io.Float.Input(
                "noise_scale",
                default=0.1,
                min=0.0,
                max=10.0,
                step=0.0001,
                round=0.0001,
                tooltip="Standard deviation of the noise at the start, in units of the tokens. "
                "Used when token_noise is on.",
            )
        ),
        io.Combo.Input(
            "regularize",
            options=["none", "seed", "zero"],
            default="none",
            tooltip="Pull the tokens back: to where they started (seed: stays closer to the image) "
            "or to zero (keeps them small, so that late steps still count). Paper: weakly, from "
            "random tokens and when inpainting. Demo world: seed spoils inpainting, for what a hole"
            " starts from is the hole.",
        ),
        advanced(
            io.Float.Input(
                "reg_weight",
                default=0.02,
                min=0.0,
                max=100.0,
                step=0.001,
                round=0.0001,
                tooltip="Strength of that pull (paper: weak, about 0.02). More: smaller changes.",
            )
        ),
        advanced(
            io.Int.Input(
                "reset_every",
                default=0,
                min=0,
                max=10000,
                tooltip="Every so many steps, put the known pixels of the L1 Masked Loss back and "
                "encode again (paper: when inpainting; demo world: no difference). 0: never. Needs "
                "an L1 Masked Loss.",
            )
        ),
        advanced(
            io.Int.Input(
                "preview_every",
                default=5,
                min=0,
                max=1000,
                tooltip="Show the image in the node every so many steps. 0: only a progress bar.",
            )
        ),
    ]


def _added_later() -> list[io.Input]:
    return [
        OptionsSocket.Input(
            "options", optional=True, tooltip="More settings, from Token Optimizer Options."
        ),
        io.Combo.Input(
            "keep",
            options=list(KEEPS),
            default="average",
            optional=True,
            tooltip="What the run returns. average: the running average when ema is on, else the "
            "last tokens. best: per image those with the lowest smoothed loss. last: as it says.",
        ),
    ]
