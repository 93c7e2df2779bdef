"""Rows of the comparison with the CPU: precisions, bounds, and how far apart two results are.

The bounds are several times what the CPU's own float32, bfloat16 and float16 differ from its
float64: rounding passes, and a fault, which changes half of the numbers, does not.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from ..speed.clock import exact_float32

Row = dict[str, Any]  # see `row`
CPU = torch.device("cpu")
RUN = "run of the demo"  # in place of the names of models
STRICT = "float32, no TF32"
PRECISIONS = {
    STRICT: torch.float32,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_TEN_BITS = {"embedding": 0.01, "losses": 0.01, "images": 0.05, "gradient": 0.2}
# Of a difference's length relative to that of the expected; losses (-1 to 1) are not divided.
BOUNDS = {
    STRICT: {"features": 1e-4, "embedding": 1e-4, "losses": 1e-4, "images": 1e-4, "gradient": 1e-3},
    "float32": _TEN_BITS,  # of TF32, which is torch's default for convolutions where it exists
    "bfloat16": {"embedding": 0.05, "losses": 0.03, "images": 0.2, "gradient": 0.5},
    "float16": _TEN_BITS,
}


def scope_of(precision: str) -> AbstractContextManager[None]:
    """The scope in which a precision is computed."""
    return exact_float32() if precision == STRICT else nullcontext()


def row(
    models: str,
    precision: str,
    what: str,
    difference: float,
    bound: float,
    own: float | None = None,
    note: str = "",
) -> Row:
    """One comparison. NaN is a difference too, and passes nowhere.

    Args:
        own: the CPU's own difference in the same precision, where it is known.
    """
    names = {"models": models, "precision": precision, "what": what}
    figures = {"difference": difference, "bound": bound, "own": own, "note": note}
    return names | figures | {"passed": difference <= bound}


def failure(models: str, precision: str, error: Exception) -> Row:
    """What could not be compared."""
    note = f"{type(error).__name__}: {error}".splitlines()[0]
    return row(models, precision, "error", math.nan, 0.0, note=note)


def apart(actual: Tensor, expected: Tensor, what: str) -> float:
    """How far a result is from the expected one, computed on the CPU in float64; NaN if it has."""
    actual, expected = actual.detach().cpu().double(), expected.detach().cpu().double()
    if what == "losses":
        return (actual - expected).abs().max().item()
    return ((actual - expected).norm() / expected.norm()).item()
