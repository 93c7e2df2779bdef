"""Measurement of speed: alternating rounds in one process, medians, ratios; the machine's facts."""

from __future__ import annotations

import platform
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from tokenopt_core.compute.memory import release_free_memory
from tokenopt_core.compute.precision import bfloat16_gain

Call = Callable[[], object]

DRIVERS = ("/proc/driver/nvidia/version", "/sys/module/amdgpu/version")
# What a card's properties are called; not its serial numbers, which belong into no report.
PROPERTIES = ("major", "minor", "gcnArchName", "multi_processor_count", "total_memory")

MATRIX_SIDE = {"cpu": 2048}  # of the products whose rate is "the machine's own"; 8192 elsewhere


class Rounds(NamedTuple):
    """For `alternate`: at least one round, then others until the time is over or all are done."""

    seconds: float
    most: int

    def __iter__(self) -> Iterator[int]:
        ends = time.perf_counter() + self.seconds
        for index in range(self.most):
            if index and time.perf_counter() > ends:
                return
            yield index


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
    cases: Mapping[str, Call],
    rounds: int | Rounds,
    device: torch.device,
    *,
    repeats: int = 1,
) -> dict[str, Timing]:
    """Each case once to warm up, then in turn, `rounds` times; a round calls it `repeats` times.

    The machine's speed drifts, but in a round all cases meet the same machine.
    """
    for call in cases.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds) if isinstance(rounds, int) else iter(rounds):
        for name, call in cases.items():
            seconds[name].append(_seconds(call, device, repeats))
    return {name: Timing(each) for name, each in seconds.items()}


def peak_bytes(call: Call, device: torch.device) -> int:
    """Memory that a call needs at its peak, above what was in use before it."""
    if device.type != "cpu":
        memory = torch.get_device_module(device)
        wait_for(device)
        before = memory.memory_allocated()
        memory.reset_peak_memory_stats()
        call()
        wait_for(device)
        return memory.max_memory_allocated() - before
    release_free_memory()
    with _ResidentMemory() as memory:
        call()
    return memory.peak - memory.before


def count_flops(call: Call) -> int:
    """Floating point operations of a call, attention included, a multiply-add counting two."""
    # Attention as plain products, because the counter does not know the CPU's fused kernel.
    with sdpa_kernel(SDPBackend.MATH), _FlopCounter() as counter:
        call()
    return counter.total


@lru_cache(maxsize=8)
def matrix_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Floating point operations a second of the machine's best large matrix product."""
    side = MATRIX_SIDE.get(device.type, 8192)
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    timing = alternate({"product": lambda: left @ right}, 7, device)["product"]
    return 2 * side**3 / min(timing.seconds)


def wait_for(device: torch.device) -> None:
    """Until the device has done all that was asked of it."""
    if device.type != "cpu":
        torch.get_device_module(device).synchronize()


@contextmanager
def exact_float32() -> Iterator[None]:
    """The scope in which float32 is float32, and no product or convolution of it is TF32."""
    products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions


def device_called(name: str) -> torch.device:
    """The device of that name; for "auto" the accelerator, otherwise the CPU."""
    if name != "auto":
        return torch.device(name)
    if not torch.accelerator.is_available():
        return torch.device("cpu")
    return torch.accelerator.current_accelerator()


def machine(device: torch.device) -> dict[str, Any]:
    """What a figure depends on: the card, its driver, and the versions of everything."""
    on_cpu = device.type == "cpu"
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    cpu = capabilities.get("cpu_name") or platform.processor()
    backend = torch.get_device_module(device)
    card = getattr(backend, "get_device_name", lambda: str(device))
    properties = getattr(backend, "get_device_properties", lambda _: None)(device)
    runtimes = {k: v for k, v in vars(torch.version).items() if k not in ("git_version", "debug")}
    return {
        "device": cpu if on_cpu else card(),
        **{name: getattr(properties, name) for name in PROPERTIES if hasattr(properties, name)},
        "driver": None if on_cpu else getattr(properties, "driver_version", None) or _driver(),
        **({} if on_cpu else {"CPU": cpu}),
        "threads": torch.get_num_threads(),
        "bfloat16 against float32": f"{bfloat16_gain():.1f} times" if on_cpu else None,
        "torch": torch.__version__,
        **{k: v for k, v in runtimes.items() if isinstance(v, str) and not k.startswith("_")},
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def _driver() -> str | None:
    """The driver's version, as the system tells it."""
    for file in map(Path, DRIVERS):
        if file.is_file():
            return file.read_text(encoding="utf-8").splitlines()[0]
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    command = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):  # a driver that hangs
        return None


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
        import psutil  # here, because an accelerator is measured without it

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
