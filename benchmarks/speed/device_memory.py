"""`python -m benchmarks.speed.device_memory`: a run's bytes on an accelerator, counted without one.

TiTok-L-32 with ViT-B-32 at full size, one image, eight crops, two steps on a pretended device. It
counts tensors; what an allocator keeps beside them is not in it.
"""

from __future__ import annotations

import sys

import torch

from benchmarks.speed import models as speed_models
from tests.unit.pretended_device import NAME, PretendedDevice, register
from tokenopt_core import ClipLoss, OptimizeConfig, optimize

CPU = torch.device("cpu")
MIB = 2**20


def count(precision: str, stays: bool) -> int:
    """Bytes at most during the steps.

    Args:
        stays: the models stay in the computer's memory, see `optimize(device=...)`.
    """
    tokenizer = speed_models.tokenizer("titok-l32", CPU)
    guide = speed_models.guide("ViT-B-32", CPU)
    features = tokenizer.encode(torch.rand(1, 3, 256, 256))
    config = OptimizeConfig(steps=2, precision=precision)
    with PretendedDevice() as device:
        if not stays:
            tokenizer, guide = tokenizer.to(NAME), guide.to(NAME)
        for _ in optimize(tokenizer, ClipLoss(guide, "a cat"), features, config, device=NAME):
            pass
        if not stays:
            speed_models.tokenizer.cache_clear()
            speed_models.guide.cache_clear()
        return device.peak


def main() -> None:
    """Prints the table."""
    register()
    sys.stdout.write("| precision | models on the device | copies alone |\n| --- | --- | --- |\n")
    for precision in ("bfloat16", "float32"):
        copies, whole = (count(precision, stays) // MIB for stays in (True, False))
        sys.stdout.write(f"| {precision} | {whole:,} MiB | {copies:,} MiB |\n")


if __name__ == "__main__":
    main()
