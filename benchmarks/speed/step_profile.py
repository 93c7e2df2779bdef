"""Profile of a step on a device: kernels, launches, gaps between them, and waits."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch.autograd import DeviceType

from .clock import Call, alternate, wait_for
from .loop import task
from .models import FULL, ModelSet

STEP, STEPS, TOP, ROUNDS = "a step", 3, 10, 3
WAITED = "called a synchronizing"  # so torch's message begins where the program waits


def profile(device: torch.device, model_set: ModelSet = FULL) -> dict[str, Any]:
    """Of a step of ours in the device's own choice: what `activity` says, the seconds that it takes
    without the profiler, and the lines of the program that wait (None: the device tells none)."""
    run = task(device, model_set=model_set).ours("auto")
    seconds = alternate({STEP: lambda: next(run)}, ROUNDS, device)[STEP].median
    places = _places_that_wait(lambda: next(run), device)
    with torch.profiler.profile(activities=torch.profiler.supported_activities()) as profiled:
        for _ in range(STEPS):
            with torch.profiler.record_function(STEP):
                next(run)
        wait_for(device)
    return {"seconds": seconds, "places": places, **activity(profiled.events(), STEPS)}


def activity(events: Iterable[Any], steps: int) -> dict[str, Any]:
    """What a profile shows of each of its steps, which are called `STEP`; milliseconds.

    Where there are no kernels of a device, the CPU's innermost operators count as such.

    Args:
        events: as `torch.profiler.profile.events` gives them, in microseconds.
    """
    events = list(events)
    marks = [e.time_range for e in events if e.name == STEP and e.device_type == DeviceType.CPU]
    begin, end = min(mark.start for mark in marks), max(mark.end for mark in marks)
    inside = [e for e in events if e.name != STEP and e.time_range.start >= begin]
    on_cpu = [e for e in inside if e.device_type == DeviceType.CPU and e.time_range.start <= end]
    kernels = [e for e in inside if e.device_type != DeviceType.CPU and not e.is_user_annotation]
    on_device = bool(kernels)
    if not on_device:
        kernels = [e for e in on_cpu if not e.cpu_children and e.name.startswith("aten::")]
    busy, longest_gap, until = 0.0, 0.0, begin
    for start, stop in sorted((e.time_range.start, e.time_range.end) for e in kernels):
        longest_gap = max(longest_gap, start - until)
        busy += max(0.0, stop - max(start, until))
        until = max(until, stop)
    wall, names = max(until, end) - begin, [event.name.lower() for event in on_cpu]
    return {
        "of": "the device" if on_device else "the CPU, its innermost operators",
        "kernels": len(kernels) / steps,
        "launches": sum("launch" in name and "kernel" in name for name in names) / steps,
        "waits": sum("synchronize" in name for name in names) / steps,
        "copies": sum("memcpy" in event.name.lower() for event in kernels) / steps,
        "wall_ms": wall / steps / 1000,
        "busy_ms": busy / steps / 1000,
        "gaps_ms": (wall - busy) / steps / 1000,
        "longest_gap_ms": longest_gap / 1000,
        "top": _most_expensive(kernels, steps),
    }


def _most_expensive(kernels: Iterable[Any], steps: int) -> list[dict[str, Any]]:
    """The kernels that take most of the time, by their names."""
    times: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for event in kernels:
        times[event.name] += event.time_range.end - event.time_range.start
        calls[event.name] += 1
    return [
        {"name": name, "ms": time / steps / 1000, "calls": calls[name] / steps}
        for name, time in times.most_common(TOP)
    ]


def _places_that_wait(call: Call, device: torch.device) -> dict[str, int] | None:
    """How often each line of the program waits for the device in a call, as the device tells."""
    backend = torch.get_device_module(device)
    if not hasattr(backend, "set_sync_debug_mode"):
        return None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        backend.set_sync_debug_mode("warn")
        try:
            call()
        finally:
            backend.set_sync_debug_mode("default")
    waits = [each for each in caught if WAITED in str(each.message)]
    return dict(Counter(f"{Path(each.filename).name}:{each.lineno}" for each in waits))
