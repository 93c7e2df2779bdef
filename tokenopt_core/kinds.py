"""Whether an input is a tensor, and a batch of images; one sentence for the user when it is not.
Numbers of other libraries become Python's own.

Axes: b images, h x w pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from numbers import Integral, Real
from typing import TypeVar

from torch import Tensor

Function = TypeVar("Function", bound=Callable)


def plain(value: object) -> object:
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


def plain_numbers(function: Function) -> Function:
    """`function`, which gets numbers as Python's own."""

    @functools.wraps(function)
    def called(*first: object, **named: object) -> object:
        return function(*map(plain, first), **{key: plain(each) for key, each in named.items()})

    return called


def hold_plain(record: object) -> None:
    """Turns the numbers in the fields of a frozen dataclass into Python's own."""
    for name, value in vars(record).items():
        object.__setattr__(record, name, plain(value))


def check_tensor(value: object, name: str, shape: str) -> None:
    """Nothing; raises ValueError unless `value` is a tensor.

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
    """Nothing; raises ValueError unless `images` is a tensor (b, 3, h, w).

    Args:
        name: of the input, for the message.
        batch: the first axis in the message.
    """
    shape = f"({batch}, 3, h, w)"
    check_tensor(images, name, shape)
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"{name}: found the shape {tuple(images.shape)}, expected {shape}.")
