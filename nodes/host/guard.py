"""What a node may be given, looked at before it runs, and said in one sentence if it is wrong.

ComfyUI compares the types of sockets and not what travels between them: an "any" output of another
pack fits everywhere, and its nodes may hand on tokens that they have changed. A text or a choice
can be anything that JSON holds, and a number one of NumPy's, with which the process would end where
it meets JSON. What is in images and masks is checked where they are converted, see `.images`;
losses where they are built, see `.recipes`.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import UnionType

import torch

from ...tokenopt_core.checks import python_number, shortened, shown, writable
from ...tokenopt_core.optimize.state import RunState
from ...tokenopt_core.tokenizers.base import check_tokens
from ...tokenopt_core.tokens.attributes import Attribute
from .compat import io
from .files import writing
from .sockets import (
    AttributeSocket,
    FitSocket,
    FittedPicture,
    GuideSocket,
    LoadedGuide,
    LoadedTokenizer,
    Options,
    OptionsSocket,
    TokenizerSocket,
    Tokens,
    TokensSocket,
)

LARGEST = 1e6  # of a token; those of every tokenizer are about 1, and squares must not overflow
LONGEST_CHOICE = 1000  # nodes quote what they do not know, and file names are no longer
_CHOICE = "a choice of the menu"
_HALF = re.compile("[\ud800-\udfff]")
_KINDS: dict[str, tuple[type, str]] = {
    TokenizerSocket.io_type: (LoadedTokenizer, "a tokenizer, from Load TiTok"),
    GuideSocket.io_type: (LoadedGuide, "a guide, from Load CLIP Guide"),
    TokensSocket.io_type: (Tokens, "tokens, from TiTok Encode for example"),
    AttributeSocket.io_type: (Attribute, "an attribute, from Attribute Vector"),
    OptionsSocket.io_type: (Options, "options, from Token Optimizer Options"),
    FitSocket.io_type: (FittedPicture, "a fit, from Fit Image"),
    io.Image.io_type: (torch.Tensor, "an image batch: connect an IMAGE output"),
    io.Mask.io_type: (torch.Tensor, "a mask: connect a MASK output"),
    io.String.io_type: (str, "text"),
    io.Combo.io_type: (str, _CHOICE),
    io.Boolean.io_type: (bool, "true or false"),
}
# Of number widgets: what fits, what to call that, how to write the limits.
_NUMBERS: dict[str, tuple[type | UnionType, str, str]] = {
    io.Int.io_type: (int, "whole number", "d"),
    io.Float.io_type: (int | float, "number", "g"),
}


def guarded(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """`node`, whose `execute` gets its inputs as it knows them, or refuses them; also when it is
    called twice."""
    execute = node.execute.__func__
    if hasattr(execute, "__wrapped__"):
        return node
    inputs = {widget.id: widget for widget in node.define_schema().inputs}
    names = inspect.signature(node.execute).parameters
    optional = {name for name, parameter in names.items() if parameter.default is None}

    @functools.wraps(execute)
    @told()
    def checked(cls: type[io.ComfyNode], *first: object, **given: object) -> io.NodeOutput:
        given |= dict(zip(names, first, strict=False))
        for name, value in given.items():
            if value is not None or name not in optional:
                given[name] = _taken(name, value, inputs.get(name), given.get("tokenizer"))
        with writing(given.get("filename_prefix")):
            return execute(cls, **given)

    node.execute = classmethod(checked)
    return node


def _taken(name: str, value: object, widget: io.Input | None, tokenizer: object) -> object:
    """The value as nodes know it; raises ValueError if it is not of its input's kind."""
    sort = widget.get_io_type() if widget else ""
    value = python_number(value)
    if sort in _NUMBERS:
        return _number(widget, value, *_NUMBERS[sort])
    kind, words = _KINDS.get(sort, (object, ""))
    if not isinstance(value, kind):
        found = "null" if value is None else _described(value)
        raise ValueError(f"{name} is {found}, expected {words}; see what is connected to it.")
    if words == _CHOICE and len(value) > LONGEST_CHOICE:
        raise ValueError(f"{name} is {shown(value)}, expected {words}.")
    if kind is str and _HALF.search(value):
        raise ValueError(
            f"{name} is {shown(value)}, which has half of a character; type that part anew."
        )
    if kind is torch.Tensor and not _strided(value):
        raise ValueError(
            f"{name} is {value.layout} on {value.device}, expected numbers in memory: {words}."
        )
    if kind is Tokens:
        check_values(name, value, tokenizer)
        return _here(value)
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


def check_values(name: str, tokens: Tokens, tokenizer: object = None) -> None:
    """Raises ValueError unless tokens hold plain numbers (b, n, d) of at least one image, n and d
    those of the tokenizer if one is given of which they say that they are."""
    values = tokens.values
    plain = isinstance(values, torch.Tensor) and _strided(values)
    packed = plain and values.element_size() == 1  # 8 bits, with which torch does not compute
    if not plain or packed or not values.is_floating_point():
        found = values.dtype if plain else type(values).__name__
        raise ValueError(
            f"{name} has values of type {found}, expected floating point numbers of 16 bits or "
            "more."
        )
    if values.ndim != 3 or 0 in values.shape:
        raise ValueError(
            f"{name} has shape {tuple(values.shape)}, expected (images, tokens, numbers of each) "
            "with at least one image."
        )
    if isinstance(tokenizer, LoadedTokenizer) and tokenizer.name == tokens.tokenizer:
        check_tokens(tokenizer.spec, values, name)
    if not all(abs(end) <= LARGEST for end in values.aminmax()):  # NaN too
        raise ValueError(
            f"{name} has NaN, infinite or huge numbers, expected those of a tokenizer; check the "
            "node that it comes from."
        )
    if not isinstance(tokens.state, RunState | None):
        raise ValueError(
            f"{name} has the state {_described(tokens.state)}, expected one of Token Optimizer."
        )


def _here(tokens: Tokens) -> Tokens:
    """Tokens of another pack as ours are, float32 on the CPU."""
    if tokens.values.dtype == torch.float32 and tokens.values.device.type == "cpu":
        return tokens
    with torch.inference_mode(False):
        return replace(tokens, values=tokens.values.detach().to("cpu", torch.float32))


def _strided(tensor: torch.Tensor) -> bool:
    """Whether its numbers are there, each at its place."""
    return tensor.layout == torch.strided and tensor.device.type != "meta"


def _described(value: object) -> str:
    """A number or text as it is, of anything else its kind."""
    plain = isinstance(value, str | int | float)
    return shown(value) if plain else f"of the kind {type(value).__name__}"


def check_choice(name: str, value: str, known: Iterable[str]) -> None:
    """Raises ValueError for another value of the input `name` than its menu has."""
    if value not in known:
        raise ValueError(f"{name} is {value!r}; expected one of: {', '.join(known)}.")


@contextmanager
def told() -> Iterator[None]:
    """Errors pass as they are, except those that quote a letter which the log cannot write, or come
    of such: they come with its escape, and without the errors that led to them."""
    try:
        yield
    except Exception as error:
        if all(writable(text) == text for text in _messages(error)):
            raise
        if writable(str(error)) == str(error):
            raise error from None  # of its own kind: ComfyUI knows cancels and full memory by it
        kind = ValueError if isinstance(error, ValueError) else RuntimeError
        raise kind(writable(str(error))).with_traceback(error.__traceback__) from None


def _messages(error: BaseException | None) -> Iterator[str]:
    """Of an error and of those that led to it, all of which the log shows."""
    while error is not None:
        yield str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
