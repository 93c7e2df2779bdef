"""The guard: what every node checks before it runs, by what its schema says.

Each value by its widget or socket (`.values`); that all tokens and attributes are of the connected
tokenizer; and, of a node that has a class method `needs_codebook(**inputs)`, that the tokenizer has
one where it is needed.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ...tokenopt_core.checks import writable
from ...tokenopt_core.tokenizers.base import check_tokens
from ...tokenopt_core.tokens.attributes import Attribute
from .compat import io
from .files import writing
from .sockets import LoadedTokenizer, Tokens
from .values import checked_value


def guarded(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """`node`, whose `execute` gets its inputs as it expects them, or refuses them; also when it is
    called twice."""
    execute = node.execute.__func__
    if hasattr(execute, "__wrapped__"):
        return node
    schema = node.define_schema()
    widgets = {widget.id: widget for widget in schema.inputs}
    names = inspect.signature(node.execute).parameters
    optional = {name for name, parameter in names.items() if parameter.default is None}

    @functools.wraps(execute)
    @writable_errors()
    def checked(cls: type[io.ComfyNode], *first: object, **given: object) -> io.NodeOutput:
        given |= dict(zip(names, first, strict=False))
        for name, value in given.items():
            if value is not None or name not in optional:
                given[name] = checked_value(name, value, widgets.get(name))
        _check_same_tokenizer(given)
        if hasattr(cls, "needs_codebook") and cls.needs_codebook(**given):
            _check_codebook(given.get("tokenizer"))
        with writing(given.get("filename_prefix")):
            return execute(cls, **given)

    node.execute = classmethod(checked)
    return node


def _check_same_tokenizer(given: Mapping[str, object]) -> None:
    """Raises ValueError unless all tokens and attributes belong to one tokenizer: the connected
    one, and with its shape."""
    values = {name: each for name, each in given.items() if isinstance(each, Tokens | Attribute)}
    tokenizer = given.get("tokenizer")
    connected = tokenizer if isinstance(tokenizer, LoadedTokenizer) else None
    if connected:
        expected, owner = connected.name, "the connected one is"
    elif values:
        first, value = next(iter(values.items()))
        expected, owner = value.tokenizer, f"{first} from"
    for name, value in values.items():
        if value.tokenizer != expected:
            raise ValueError(
                f"{name} came from the tokenizer {value.tokenizer!r}, but {owner} {expected!r}; "
                "connect the same Load TiTok node to both."
            )
        if connected and isinstance(value, Tokens):
            check_tokens(connected.spec, value.values, name)


def _check_codebook(tokenizer: object) -> None:
    """Raises ValueError if the tokenizer has no codes to vary."""
    if isinstance(tokenizer, LoadedTokenizer) and tokenizer.spec.kind == "vae":
        raise ValueError(
            f"tokenizer {tokenizer.name!r} is a VAE, which has no codes to vary; choose one with a "
            "codebook, whose name has no 'vae'."
        )


@contextmanager
def writable_errors() -> Iterator[None]:
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
