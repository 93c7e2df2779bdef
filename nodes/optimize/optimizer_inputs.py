"""The inputs of the Token Optimizer, with their limits and explanations."""

from __future__ import annotations

from ..host.compat import advanced, io
from ..host.sockets import LossSocket, TokenizerSocket, TokensSocket
from .inputs import (
    ema_decay_input,
    keep_input,
    lr_input,
    noise_scale_input,
    options_input,
    quantize_input,
    reg_weight_input,
    regularize_input,
    reset_every_input,
    seed_input,
    steps_input,
)


def optimizer_inputs() -> list[io.Input]:
    """All inputs in display order. Append new ones at the end: saved workflows count positions."""
    return [*_sockets(), *_everyday(), *_tweaks(), *_added_later()]


def _sockets() -> list[io.Input]:
    return [
        TokenizerSocket.Input("tokenizer", tooltip="The tokenizer to use, from Load TiTok."),
        TokensSocket.Input(
            "tokens",
            tooltip="Where to start: TiTok Encode (edit an image), Random Tokens (from nothing), "
            "or the tokens of another Token Optimizer (continue).",
        ),
        LossSocket.Input("loss", tooltip="The aim: CLIP Loss, L1 Masked Loss or both combined."),
    ]


def _everyday() -> list[io.Input]:
    return [
        steps_input(
            200,
            "Number of steps. More: closer to the loss's wish and further from the start "
            "(paper: 300 for edits, 400 from random tokens).",
        ),
        lr_input(),
        seed_input("In a batch the images have seed, seed + 1, ..."),
        quantize_input(),
        io.Boolean.Input(
            "ema",
            default=True,
            tooltip="Return a running average of the tokens: steadier. Off: the last tokens as "
            "they are.",
        ),
        advanced(ema_decay_input()),
    ]


def _tweaks() -> list[io.Input]:
    return [
        io.Boolean.Input(
            "token_noise",
            default=False,
            tooltip="Add noise to the tokens in the first two thirds of the run, fading out. "
            "Off: none. Paper: from random tokens and when inpainting. Demo world: no gain "
            "shown, for edits neither.",
        ),
        advanced(noise_scale_input(0.1, "Used when token_noise is on.")),
        regularize_input(
            "Paper: weakly, from random tokens and when inpainting. Demo world: seed spoils "
            "inpainting, for what a hole starts from is the hole."
        ),
        advanced(reg_weight_input()),
        advanced(reset_every_input()),
        advanced(
            io.Int.Input(
                "preview_every",
                default=5,
                min=0,
                max=1000,
                tooltip="Show the image in the node every so many steps. More: seldom, which "
                "saves a little time. 0: only a progress bar.",
            )
        ),
    ]


def _added_later() -> list[io.Input]:
    return [
        options_input(),
        keep_input("the running average when ema is on, else the last tokens", optional=True),
    ]
