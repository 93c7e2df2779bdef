"""In which numbers a frozen model computes: what its device is fastest with."""

from __future__ import annotations

import math
import time
from functools import lru_cache

import torch
from torch import nn

from .half_precision import autocast

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
LARGE = 50_000_000  # weights from which on a CPU's time goes into products rather than overhead
WORTH = 1.5  # times as fast as float32, from which on bfloat16 is worth its rounding
PRODUCT, ROUNDS = (256, 1024, 1024), 5  # rows, inputs and outputs: some milliseconds in float32


def dtype_for(precision: str, device: torch.device, model: nn.Module) -> torch.dtype:
    """The type in which `model` computes on `device`.

    Args:
        precision: one of `PRECISIONS`; "auto" is what the device is fastest with.
    """
    if precision != "auto":
        return getattr(torch, precision)
    if device.type == "cpu":
        # Measured, benchmarks/LOG.md: several times as fast for TiTok-L-32 where a CPU multiplies
        # bfloat16 in hardware; the demo models gain little. float16 takes longer than float32.
        pays = is_large(model) and bfloat16_gain() >= WORTH
        return torch.bfloat16 if pays else torch.float32
    backend = getattr(torch, device.type, None)
    if not hasattr(backend, "is_bf16_supported"):
        return torch.float32  # unmeasured
    try:
        supported = backend.is_bf16_supported(including_emulation=False)
    except TypeError:  # of a backend of its own making
        return torch.float32
    return torch.bfloat16 if supported else torch.float16


def is_large(model: nn.Module) -> bool:
    """Whether it has so many weights that products take most of its time, also on a CPU."""
    return sum(weight.numel() for weight in model.parameters()) >= LARGE


@lru_cache(maxsize=1)
@torch.no_grad()
def bfloat16_gain() -> float:
    """How many times as fast the CPU multiplies matrices of bfloat16 as those of float32.

    Measured once a process, in some 20 ms: a list of processors would miss the next one, and what a
    processor has may be out of reach of torch's kernels. Below 1 where bfloat16 is emulated.
    """
    rows, inputs, outputs = PRODUCT
    values = torch.ones(rows, inputs, device="cpu")
    weights = torch.ones(outputs, inputs, device="cpu")
    best = {torch.float32: math.inf, torch.bfloat16: math.inf}
    with autocast(torch.float32, values.device):
        given = {dtype: (values.to(dtype), weights.to(dtype).t()) for dtype in best}
        for number in range(1 + ROUNDS):  # the first one makes the kernels
            for dtype, (left, right) in given.items():
                started = time.perf_counter()
                torch.mm(left, right)
                seconds = time.perf_counter() - started
                best[dtype] = min(best[dtype], seconds if number else math.inf)
            if number == 1 and best[torch.bfloat16] > 2 * best[torch.float32]:
                break  # emulated, and a slow one may take a second a product
    return best[torch.float32] / best[torch.bfloat16]
