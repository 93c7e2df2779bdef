"""The value of one input, checked against its widget or socket.

ComfyUI compares the types of sockets and not what travels between them: an "any" output of another
pack fits everywhere, and its nodes may hand on tokens that they have changed. A text or a choice
can be anything that JSON holds, and a number one of NumPy's, with which the process would end where
it meets JSON. What is in images and masks is checked where they are converted, see `.images`;
losses where they are built, see `losses.recipe`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from types import UnionType

import torch

from ...tokenopt_core.checks import python_number, shortened, shown
from ...tokenopt_core.optimize.state import RunState
from ...tokenopt_core.tokens.attributes import Attribute
from .compat import io
from .sockets import (
    AttributeSocket,
    Caption,
    CaptionEncoderSocket,
    CaptionSocket,
    FitSocket,
    FittedImages,
    GuideSocket,
    LoadedCaptionEncoder,
    LoadedGuide,
    LoadedTokenizer,
    Options,
    OptionsSocket,
    TokenizerSocket,
    Tokens,
    TokensSocket,
)
from .widgets import lists_files

LARGEST = 1e6  # of a token; those of every tokenizer are about 1, and squares must not overflow
_HALF = re.compile("[\ud800-\udfff]")
_KINDS: dict[str, tuple[type, str]] = {
    TokenizerSocket.io_type: (LoadedTokenizer, "a tokenizer, from Load TiTok"),
    GuideSocket.io_type: (LoadedGuide, "a guide, from Load CLIP Guide"),
    CaptionEncoderSocket.io_type: (
        LoadedCaptionEncoder,
        "a caption encoder, from Load Caption Encoder",
    ),
    CaptionSocket.io_type: (Caption, "a caption, from Caption"),
    TokensSocket.io_type: (Tokens, "tokens, from TiTok Encode for example"),
    AttributeSocket.io_type: (Attribute, "an attribute, from Attribute Vector"),
    OptionsSocket.io_type: (Options, "options, from Token Optimizer Options"),
    FitSocket.io_type: (FittedImages, "a fit, from Fit Image"),
    io.Image.io_type: (torch.Tensor, "an image batch: connect an IMAGE output"),
    io.Mask.io_type: (torch.Tensor, "a mask: connect a MASK output"),
    io.String.io_type: (str, "text"),
    io.Combo.io_type: (str, "a choice of the menu"),
    io.Boolean.io_type: (bool, "true or false"),
}
# Of number widgets: what fits, what to call that, how to write the limits.
_NUMBERS: dict[str, tuple[type | UnionType, str, str]] = {
    io.Int.io_type: (int, "whole number", "d"),
    io.Float.io_type: (int | float, "number", "g"),
}


def checked_value(name: str, value: object, widget: io.Input | None) -> object:
    """The value as nodes expect it.

    Args:
        name: of the input, for the message.
        widget: of the schema; None for an input that the schema does not know, which passes.

    Raises:
        ValueError: it is of another kind, outside of the limits, or not in the menu.
    """
    io_type = widget.get_io_type() if widget else ""
    value = python_number(value)
    if io_type in _NUMBERS:
        return _number(widget, value, *_NUMBERS[io_type])
    kind, expected = _KINDS.get(io_type, (object, ""))
    if not isinstance(value, kind):
        found = "null" if value is None else _described(value)
        raise ValueError(f"{name} is {found}, expected {expected}; see what is connected to it.")
    former = getattr(widget, "former_choices", ())
    if io_type == io.Combo.io_type and not lists_files(widget) and value not in former:
        _check_choice(name, value, widget.options)
    if kind is str and _HALF.search(value):
        raise ValueError(
            f"{name} is {shown(value)}, which has half of a character; type that part anew."
        )
    if kind is torch.Tensor and not _is_strided(value):
        raise ValueError(
            f"{name} is {value.layout} on {value.device}, expected numbers in memory: {expected}."
        )
    if kind is Tokens:
        _check_tokens(name, value)
        return _on_cpu(value)
    if kind is Caption:
        _check_values(name, value.guidance, "(1, words, numbers of each)", most=1)
    return value


def _number(widget: io.Input, value: object, kind: type, words: str, form: str) -> int | float:
    """The number within the limits of its widget: ComfyUI itself compares what is typed, not what
    comes through a link; and NaN is neither below nor above a limit."""
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if not (fits and widget.min <= value <= widget.max):  # NaN too
        raise ValueError(
            f"{widget.id} is {shortened(str(value))}, expected a {words} from "
            f"{widget.min:{form}} to {widget.max:{form}}."
        )
    return value if kind is int else float(value)


def _check_choice(name: str, value: str, options: list[str]) -> None:
    """Raises ValueError for another value than the menu has: ComfyUI 0.3.75 does not compare."""
    if value not in options:
        raise ValueError(f"{name} is {shown(value)}; expected one of: {', '.join(options)}.")


def _check_tokens(name: str, tokens: Tokens) -> None:
    """Raises ValueError unless tokens hold plain finite numbers (b, n, d) of at least one image."""
    _check_values(name, tokens.values, "(images, tokens, numbers of each) with at least one image")
    if not isinstance(tokens.state, RunState | None):
        raise ValueError(
            f"{name} has the state {_described(tokens.state)}, expected one of Token Optimizer."
        )


def _check_values(name: str, values: object, shape: str, most: int | None = None) -> None:
    """Raises ValueError unless they are plain finite numbers of three axes, with `most` rows.

    Args:
        shape: what is expected, for the message.
    """
    strided = isinstance(values, torch.Tensor) and _is_strided(values)
    packed = strided and values.element_size() == 1  # 8 bits, with which torch does not compute
    if not strided or packed or not values.is_floating_point():
        found = values.dtype if strided else type(values).__name__
        raise ValueError(
            f"{name} has values of type {found}, expected floating point numbers of 16 bits or "
            "more."
        )
    if values.ndim != 3 or 0 in values.shape or (most and len(values) > most):
        raise ValueError(f"{name} has shape {tuple(values.shape)}, expected {shape}.")
    if not all(abs(end) <= LARGEST for end in values.aminmax()):  # NaN too
        raise ValueError(
            f"{name} has NaN, infinite or huge numbers, expected those of a model; check the node "
            "that it comes from."
        )


def _on_cpu(tokens: Tokens) -> Tokens:
    """Tokens of another pack as ours are, float32 on the CPU."""
    if tokens.values.dtype == torch.float32 and tokens.values.device.type == "cpu":
        return tokens
    with torch.inference_mode(False):
        return replace(tokens, values=tokens.values.detach().to("cpu", torch.float32))


def _is_strided(tensor: torch.Tensor) -> bool:
    """Whether its numbers are there, each at its place."""
    return tensor.layout == torch.strided and tensor.device.type != "meta"


def _described(value: object) -> str:
    """A number or text as it is, of anything else its kind."""
    quotable = isinstance(value, str | int | float)
    return shown(value) if quotable else f"of the kind {type(value).__name__}"
