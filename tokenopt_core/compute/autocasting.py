"""torch.autocast for every device, those that do not know it included."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def autocast(dtype: torch.dtype, device: torch.device) -> AbstractContextManager:
    """The scope in which the models compute in `dtype`; with float32 autocast is off.

    A device without autocast, DirectML for one, computes in the types that its tensors have.
    """
    lowers = dtype != torch.float32
    try:
        return torch.autocast(device.type, dtype=dtype if lowers else None, enabled=lowers)
    except (AssertionError, RuntimeError):  # how torch says that the device has none
        return nullcontext()
