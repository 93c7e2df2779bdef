"""Takes a few steps of every stage on a device that is pretended; prints the stages that ran."""

from __future__ import annotations

import sys

from tests.training.test_stages import (
    make_pool,
    pixel_task,
    proxy_task,
    single_task,
    some_vqgan,
    vqgan_task,
)
from tests.unit.pretended_device import NAME, PretendedDevice, register


def main() -> None:
    register()
    pool = make_pool()
    vqgan = some_vqgan(pool)
    with PretendedDevice():
        there = pool.to(NAME)
        for make in (vqgan_task, lambda p: proxy_task(p, vqgan), pixel_task, single_task):
            task = make(there)
            for progress in (0.01, 0.3, 0.8):
                task.step(progress)
            assert next(task.model.parameters()).device.type == NAME
            sys.stdout.write(f"{task.name}\n")


if __name__ == "__main__":
    main()
