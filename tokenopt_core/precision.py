"""In which numbers the models compute, and the scaling that float16 needs for its gradients.

Only decoding and the guides are lowered: frozen models with their weights rounded once, and
autocast for losses of other makers. Quantization, the loss's own arithmetic and Adam stay in
float32.
"""

from __future__ import annotations

from functools import lru_cache

import torch

from .config import OptimizeConfig
from .tokenizers import Tokenizer

FIRST_SCALE = 2.0**14  # a pixel's share of a mean loss is below what float16 can hold
LARGE = 50_000_000  # weights from which on a CPU's time goes into products rather than overhead


def compute_dtype(
    config: OptimizeConfig, device: torch.device, tokenizer: Tokenizer
) -> torch.dtype:
    """The type for decoding with `tokenizer` and for the guide on `device`."""
    if config.precision != "auto":
        return getattr(torch, config.precision)
    if config.official_rules:
        return torch.float32
    if device.type == "cpu":
        # Measured, benchmarks/LOG.md: several times as fast for TiTok-L-32 where a CPU has matrix
        # units for bfloat16; the demo models gain little. float16 takes longer than float32.
        return torch.bfloat16 if is_large(tokenizer) and has_matrix_units() else torch.float32
    backend = getattr(torch, device.type, None)
    if not hasattr(backend, "is_bf16_supported"):
        return torch.float32  # unmeasured
    try:
        supported = backend.is_bf16_supported(including_emulation=False)
    except TypeError:  # of a backend of its own making
        return torch.float32
    return torch.bfloat16 if supported else torch.float16


def is_large(tokenizer: Tokenizer) -> bool:
    """Whether it has so many weights that products take most of its time, also on a CPU."""
    return sum(weight.numel() for weight in tokenizer.parameters()) >= LARGE


@lru_cache(maxsize=1)
def has_matrix_units() -> bool:
    """Whether the CPU multiplies matrices of bfloat16 in hardware made for it (AMX)."""
    if hasattr(torch.cpu, "get_capabilities"):
        return bool(torch.cpu.get_capabilities().get("amx_bf16"))
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())


def first_scale(dtype: torch.dtype) -> float:
    """What an image's loss is multiplied with before its backward pass."""
    return FIRST_SCALE if dtype == torch.float16 else 1.0
