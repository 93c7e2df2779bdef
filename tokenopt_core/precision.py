"""In which numbers the models compute, and the scaling that float16 needs for its gradients.

Only decoding and the guide are lowered, by autocast around frozen models; quantization, the loss's
own arithmetic and Adam stay in float32.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from .config import OptimizeConfig

FIRST_SCALE = 2.0**14  # a pixel's share of a mean loss is below what float16 can hold


def compute_dtype(config: OptimizeConfig, device: torch.device) -> torch.dtype:
    """The type for decoding and the guide on `device`; float32 is no autocast at all."""
    if config.precision != "auto":
        return getattr(torch, config.precision)
    if config.official_rules or device.type not in ("cuda", "xpu"):
        # Measured on a CPU with units for both, demo models: bfloat16 saves 11 % of the time, too
        # little for its rounding; float16 takes 2.5 times as long. Other devices: unmeasured.
        return torch.float32
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16


def autocast(dtype: torch.dtype, device: torch.device) -> AbstractContextManager:
    """The scope in which the models compute in `dtype`."""
    if dtype == torch.float32:
        available = torch.amp.is_autocast_available(device.type)
        return torch.autocast(device.type, enabled=False) if available else nullcontext()
    return torch.autocast(device.type, dtype=dtype)


def first_scale(dtype: torch.dtype) -> float:
    """What an image's loss is multiplied with before its backward pass."""
    return FIRST_SCALE if dtype == torch.float16 else 1.0
