"""Bytes of a run on an accelerator, counted without one.

`python -m benchmarks.speed.device_memory`

TiTok-L-32 with ViT-B-32 at full size, one image, eight crops, two steps on a pretended device. It
counts tensors; what an allocator keeps beside them is not in it.
"""

from __future__ import annotations

import torch

from tests.unit.pretended_device import NAME, PretendedDevice, register
from tokenopt_core import ClipLoss, OptimizeConfig, optimize

from ..markdown import table
from . import models

CPU = torch.device("cpu")
MIB = 2**20


def count(precision: str, stays: bool) -> int:
    """Bytes at most during the steps.

    Args:
        stays: the models stay in the computer's memory, see `optimize(device=...)`.
    """
    tokenizer = models.tokenizer("titok-l32", CPU)
    guide = models.guide("ViT-B-32", CPU)
    features = tokenizer.encode(torch.rand(1, 3, 256, 256))
    config = OptimizeConfig(steps=2, precision=precision)
    with PretendedDevice() as device:
        if not stays:
            tokenizer, guide = tokenizer.to(NAME), guide.to(NAME)
        for _ in optimize(tokenizer, ClipLoss(guide, "a cat"), features, config, device=NAME):
            pass
        if not stays:
            models.tokenizer.cache_clear()
            models.guide.cache_clear()
        return device.peak


def main() -> None:
    """Prints the table."""
    register()
    lines = []
    for precision in ("bfloat16", "float32"):
        copies, whole = (count(precision, stays) // MIB for stays in (True, False))
        lines.append((precision, f"{whole:,} MiB", f"{copies:,} MiB"))
    head = ("precision", "models on the device", "copies alone")
    print(table(head, lines, numbers_right=False))


if __name__ == "__main__":
    main()
