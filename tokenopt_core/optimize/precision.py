"""In which numbers the optimizer computes, and the scaling that float16 needs for its gradients.

Only decoding and the guides are rounded: frozen models with their weights rounded once, and
autocast for losses of other makers. Quantization, the loss's own arithmetic and Adam stay in
float32.
"""

from __future__ import annotations

import torch

from ..compute.precision import dtype_for
from ..tokenizers import Tokenizer
from .config import OptimizeConfig

FIRST_SCALE = 2.0**14  # a pixel's share of a mean loss is below what float16 can hold


def compute_dtype(
    config: OptimizeConfig, device: torch.device, tokenizer: Tokenizer
) -> torch.dtype:
    """The type for decoding with `tokenizer` and for the guide on `device`."""
    if config.official_rules and config.precision == "auto":
        return torch.float32
    return dtype_for(config.precision, device, tokenizer)


def first_scale(dtype: torch.dtype) -> float:
    """What an image's loss is multiplied with before its backward pass."""
    return FIRST_SCALE if dtype == torch.float16 else 1.0
