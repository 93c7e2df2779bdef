"""How speed is measured: alternating rounds in one process, medians, and their ratios."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import psutil
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from tokenopt_core.steady_memory import give_back

Call = Callable[[], object]

MATRIX_SIDE = {"cpu": 2048}  # of the products whose rate is "the machine's own"; 8192 elsewhere


class Timing(NamedTuple):
    """Seconds of every counted call of one case."""

    seconds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def times(self, other: Timing) -> float:
        """How many times as long as `other`: the median of the ratios of the rounds."""
        pairs = zip(self.seconds, other.seconds, strict=True)
        return statistics.median(mine / others for mine, others in pairs)


def alternate(
    cases: Mapping[str, Call], rounds: int, device: torch.device, *, repeats: int = 1
) -> dict[str, Timing]:
    """Each case once to warm up, then in turn, `rounds` times; a round calls it `repeats` times.

    The machine's speed drifts, but in a round all cases meet the same machine.
    """
    for call in cases.values():
        call()
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, call in cases.items():
            found[name].append(_seconds(call, device, repeats))
    return {name: Timing(seconds) for name, seconds in found.items()}


def peak_bytes(call: Call, device: torch.device) -> int:
    """Memory that a call needs at its peak, above what was in use before it."""
    if device.type != "cpu":
        torch.accelerator.synchronize()
        before = torch.accelerator.memory_allocated()
        torch.accelerator.reset_peak_memory_stats()
        call()
        torch.accelerator.synchronize()
        return torch.accelerator.max_memory_allocated() - before
    give_back()
    with _ResidentMemory() as memory:
        call()
    return memory.peak - memory.before


def count_flops(call: Call) -> int:
    """Floating point operations of a call, attention included, a multiply-add counting two."""
    # Attention as plain products, because the counter does not know the CPU's fused kernel.
    with sdpa_kernel(SDPBackend.MATH), _FlopCounter() as counter:
        call()
    return counter.total


def matrix_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Floating point operations a second of the machine's best large matrix product."""
    side = MATRIX_SIDE.get(device.type, 8192)
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    timing = alternate({"product": lambda: left @ right}, 7, device)["product"]
    return 2 * side**3 / min(timing.seconds)


def wait_for(device: torch.device) -> None:
    """Until the device has done all that was asked of it."""
    if device.type != "cpu":
        torch.accelerator.synchronize()


def _seconds(call: Call, device: torch.device, repeats: int) -> float:
    wait_for(device)
    started = time.perf_counter()
    for _ in range(repeats):
        call()
    wait_for(device)
    return (time.perf_counter() - started) / repeats


class _FlopCounter(TorchDispatchMode):
    """Adds up what torch's own table says about each operation; its own counter needs modules."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count:
            self.total += count(*args, **(kwargs or {}), out_val=result)
        return result


class _ResidentMemory:
    """The process's resident memory while the block runs, looked at every 5 ms."""

    def __enter__(self) -> _ResidentMemory:
        self._process = psutil.Process()
        self.before = self.peak = self._process.memory_info().rss
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.005):
            self.peak = max(self.peak, self._process.memory_info().rss)
