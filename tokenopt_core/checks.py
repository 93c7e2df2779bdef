"""Checks of arguments and of installed packages, and the texts that their messages quote."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from numbers import Integral, Real
from pathlib import Path
from reprlib import Repr
from typing import TypeVar

import torch
from torch import Tensor

Function = TypeVar("Function", bound=Callable)

DTYPES = (torch.float32, torch.float16, torch.bfloat16)  # of networks
SUGGESTIONS = 3
LONGEST = 40  # characters of a text that is quoted
# Those of requirements.txt, for a library that was installed without that file (a test compares).
PACKAGES = (
    "filelock",
    "huggingface_hub",
    "numpy",
    "open_clip_torch",
    "Pillow",
    "safetensors",
    "transformers",
)

_REPR = Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 60
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = _REPR.maxlevel = 3


def shown(value: object) -> str:
    """`repr(value)`, cut where it is long: what a message can quote of anything that JSON holds."""
    return _REPR.repr(value)


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text, or its start and dots: what a message can quote."""
    return text if len(text) <= longest else text[: longest - 3].rstrip() + "..."


def nearest(name: str, known: Sequence[str]) -> str:
    """The three known names most similar to `name`, as in "a, b, c"; otherwise the first three."""
    by_key = {each.lower(): each for each in known}
    matches = get_close_matches(name.lower()[:100], by_key, SUGGESTIONS, cutoff=0.2)
    return ", ".join([by_key[match] for match in matches] or known[:SUGGESTIONS])


def writable(text: str) -> str:
    """`text` as this program's output takes it: letters that its encoding lacks become escapes.

    ComfyUI's log is strict: a message that it cannot write ends the thread that runs all prompts.
    """
    for stream in (sys.stdout, sys.stderr):
        encoding = getattr(stream, "encoding", None) or "utf-8"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def python_number(value: object) -> object:
    """A number of another library (NumPy's, a Fraction) as Python's own; anything else as it is.

    Such pass for numbers until they meet JSON, a random generator or a tensor's operator.
    """
    try:
        if isinstance(value, Integral):
            return value if isinstance(value, bool) else int(value)
        if isinstance(value, Real):
            return float(value)
    except (OverflowError, TypeError):
        return value  # a Fraction that no float holds, a time of NumPy: no range has room for it
    numpy = type(value).__module__ == "numpy"
    return bool(value) if numpy and type(value).__name__ in ("bool", "bool_") else value


def python_numbers(function: Function) -> Function:
    """Decorator: `function` gets its numbers as Python's own."""

    @functools.wraps(function)
    def called(*args: object, **kwargs: object) -> object:
        kwargs = {name: python_number(value) for name, value in kwargs.items()}
        return function(*map(python_number, args), **kwargs)

    return called


def convert_fields(record: object) -> None:
    """Turns the numbers in the fields of a frozen dataclass into Python's own."""
    for name, value in vars(record).items():
        object.__setattr__(record, name, python_number(value))


def check_tensor(value: object, name: str, shape: str) -> None:
    """Raises ValueError unless `value` is a tensor.

    Args:
        name: of the input, for the message.
        shape: what it should have, for example "(b, n, d)".
    """
    if not isinstance(value, Tensor):
        raise ValueError(
            f"{name}: found the type {type(value).__name__}, expected a torch.Tensor {shape}; "
            "torch.as_tensor makes one of an array or a list."
        )


def check_images(images: object, name: str = "images", batch: str = "b") -> None:
    """Raises ValueError unless `images` is a tensor (b, 3, h, w).

    Args:
        name: of the input, for the message.
        batch: the first axis in the message.
    """
    shape = f"({batch}, 3, h, w)"
    check_tensor(images, name, shape)
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"{name}: found the shape {tuple(images.shape)}, expected {shape}.")


def check_dtype(dtype: object) -> None:
    """Raises ValueError unless a network can be loaded as `dtype`."""
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype}, expected one of {', '.join(map(str, DTYPES))}.")


@contextmanager
def needs_packages() -> Iterator[None]:
    """Around imports of packages; raises ImportError with the command that installs the missing."""
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"a Python package cannot be imported ({str(error).rstrip('.')}); run: "
            f"{install_command()} and start again; if pip finds all of it there, the package is "
            "damaged or too old, see docs/troubleshooting.md.",
            name=error.name,
        ) from error


def install_command() -> str:
    """The command that installs the requirements, by the Python that runs now."""
    file = Path(__file__).parents[1] / "requirements.txt"
    requirements = f"-r {_quoted(str(file))}" if file.is_file() else " ".join(PACKAGES)
    return f"{_quoted(sys.executable)} -m pip install {requirements}"


def _quoted(path: str) -> str:
    return f'"{path}"' if " " in path else path
