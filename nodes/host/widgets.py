"""Inputs and outputs that several nodes share; where their tooltips differ they are given.

`more` is what else an input takes, such as `optional=True`.
"""

from __future__ import annotations

from collections.abc import Sequence

from .compat import io
from .sockets import CaptionSocket, GuideSocket, LossSocket, TokenizerSocket, TokensSocket

SEEDS = 2**64
MOST_WEIGHT = 1000.0
MOST_MARGIN = 1000  # percent
ANY_TOKENIZER = "The tokenizer to use, from Load TiTok."
ITS_TOKENIZER = "The tokenizer that made the tokens, from Load TiTok."
ANY_TOKENS = "The tokens, from any node that outputs tokens."
LOOKING_GUIDE = "The CLIP or SigLIP model that embeds the images, from Load CLIP Guide."
SOME_POSITIONS = "18, 31 or 0-3, 7"
DEMO_PROMPT = "a large green star in the middle, plain sky background, bright, sharp"


def tokenizer(tooltip: str = ANY_TOKENIZER, **more) -> io.Input:
    return TokenizerSocket.Input("tokenizer", tooltip=tooltip, **more)


def guide(tooltip: str = LOOKING_GUIDE, name: str = "guide", **more) -> io.Input:
    return GuideSocket.Input(name, tooltip=tooltip, **more)


def tokens(tooltip: str = ANY_TOKENS, name: str = "tokens", **more) -> io.Input:
    return TokensSocket.Input(name, tooltip=tooltip, **more)


def loss(tooltip: str, name: str = "loss", **more) -> io.Input:
    return LossSocket.Input(name, tooltip=tooltip, **more)


def caption() -> io.Input:
    """The last input of a node that decodes: earlier workflows lack it."""
    return CaptionSocket.Input(
        "caption",
        optional=True,
        tooltip="Only for a text-aware tokenizer (tatitok-...): what the image shows, from "
        "Caption. Not connected: the empty caption, for which the caption encoder (1.7 GB) is "
        "loaded, and downloaded if it is missing.",
    )


def image(tooltip: str, name: str = "image", **more) -> io.Input:
    return io.Image.Input(name, tooltip=tooltip, **more)


def mask(tooltip: str, **more) -> io.Input:
    return io.Mask.Input("mask", tooltip=tooltip, **more)


def seed(tooltip: str, name: str = "seed", **more) -> io.Input:
    return io.Int.Input(name, default=0, min=0, max=SEEDS - 1, tooltip=tooltip, **more)


def batch_size(tooltip: str) -> io.Input:
    return io.Int.Input("batch_size", default=1, min=1, max=64, tooltip=tooltip)


def positions(
    default: str, tooltip: str, placeholder: str = SOME_POSITIONS, name: str = "positions", **more
) -> io.Input:
    """Positions of tokens as text."""
    return io.String.Input(name, default=default, placeholder=placeholder, tooltip=tooltip, **more)


def margin(tooltip: str) -> io.Input:
    return io.Int.Input("margin", default=50, min=0, max=MOST_MARGIN, tooltip=tooltip)


def prompt(default: str, tooltip: str, name: str = "prompt") -> io.Input:
    return io.String.Input(name, multiline=True, default=default, tooltip=tooltip)


def weight(
    tooltip: str, *, name: str = "weight", default: float = 1.0, least: float = 0.0, **more
) -> io.Input:
    """A loss's importance beside others."""
    return io.Float.Input(
        name,
        default=default,
        min=least,
        max=MOST_WEIGHT,
        step=0.05,
        round=0.0001,
        tooltip=f"{tooltip} 0: off.",
        **more,
    )


def filename(default: str, what: str) -> io.Input:
    """The input filename_prefix; `what` it is the start of."""
    return io.String.Input(
        "filename_prefix",
        default=default,
        tooltip=f"Start of the {what}, in ComfyUI's output folder; a / makes a folder. A counter "
        "is added, so nothing is overwritten.",
    )


def files(name: str, options: list[str], tooltip: str, **more) -> io.Input:
    """A menu of what lies on the disk: there may be more by the time a node runs, so that the node
    looks for the name and not the guard."""
    widget = io.Combo.Input(name, options=options, tooltip=tooltip, **more)
    widget.lists_files = True
    return widget


def lists_files(widget: io.Input) -> bool:
    """Whether it is a `files`."""
    return getattr(widget, "lists_files", False)


def former_choices(values: Sequence[str], widget: io.Input) -> io.Input:
    """The menu, which also takes `values` that it no longer shows: saved workflows have them."""
    widget.former_choices = tuple(values)
    return widget


def loss_output() -> io.Output:
    return LossSocket.Output(
        display_name="loss", tooltip="The loss, for Token Optimizer, Sweep or Combine Losses."
    )


def tokens_output(tooltip: str) -> io.Output:
    return TokensSocket.Output(display_name="tokens", tooltip=tooltip)


def image_output(tooltip: str, name: str = "image") -> io.Output:
    return io.Image.Output(display_name=name, tooltip=tooltip)


def text_output(name: str, tooltip: str) -> io.Output:
    return io.String.Output(display_name=name, tooltip=tooltip)
