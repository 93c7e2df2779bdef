"""In which numbers the models compute, and the scaling that float16 needs for its gradients.

Only decoding and the guide are lowered, by autocast around frozen models; quantization, the loss's
own arithmetic and Adam stay in float32.
"""

from __future__ import annotations

import torch

from .config import OptimizeConfig

FIRST_SCALE = 2.0**14  # a pixel's share of a mean loss is below what float16 can hold


def autocast_dtype(config: OptimizeConfig, device: torch.device) -> torch.dtype:
    """The type for decoding and the guide on `device`; float32 is no autocast at all."""
    if config.precision != "auto":
        return getattr(torch, config.precision)
    if device.type == "cpu" or config.official_rules:
        return torch.float32  # measured: no faster on the CPU
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16


def autocast(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """The scope in which the models compute in `dtype`."""
    lowered = dtype != torch.float32
    return torch.autocast(device.type, dtype=dtype if lowered else None, enabled=lowered)


def first_scale(dtype: torch.dtype) -> float:
    """What an image's loss is multiplied with before its backward pass."""
    return FIRST_SCALE if dtype == torch.float16 else 1.0
