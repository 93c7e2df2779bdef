"""What a GPU computes, and how fast: one command, and a table fit for a bug report.

python -m benchmarks.gpu_check                   on the accelerator, below 8 minutes
python -m benchmarks.gpu_check --device cpu      on another device
python -m benchmarks.gpu_check --quick           small models only: seconds, and no figure of worth

Needs the pack's requirements; nothing is installed or downloaded. Its files are written anew after
each part: one that fails, or for which no time is left, is told as such, and the others go on.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from . import compare as gpu_compare
from ..speed import loop as speed_loop, models as speed_models, parts as speed_parts
from ..speed.clock import Rounds, device_called, machine
from ..speed.models import EVERY_FULL, EVERY_SMALL, FULL, SMALL, Models
from ..speed.page import check_page as page
from ..speed.step_profile import profile

ROUNDS, QUICK_ROUNDS = 5, 1
RUN_STEPS, QUICK_RUN_STEPS = 60, 2
SLACK = 10  # seconds before the limit, by which the last files are written


class Part(NamedTuple):
    """One part of the check.

    Args:
        work: gives its results, each in the place of the one before.
        seconds, steps: what it takes at least, with the full models: a time, and so many steps of
            all loops, as long as the first part of speed has found them to be.
    """

    name: str
    work: Callable[[Check], Iterator[Any]]
    seconds: float = 0
    steps: float = 0


class Skipped(Exception):
    """Why a part, or the rest of it, is not done, which is nobody's fault."""


class Check:
    """A check that is going on, and its files."""

    def __init__(self, device: torch.device, folder: Path, minutes: float, quick: bool):
        self.device, self.folder, self.quick = device, folder, quick
        self.ends = time.perf_counter() + 60 * minutes - SLACK
        self.models = SMALL if quick else FULL
        self.found = {"machine": machine(device), "quick": quick, "complete": False}
        self.found |= {"running": None, "parts": {}}
        self._lock = threading.Lock()
        self.write()

    def left(self) -> float:
        """Seconds until all should be over."""
        return self.ends - time.perf_counter()

    def rounds(self, share: float) -> Rounds:
        """As many as go into a share of the time that is left."""
        return Rounds(share * self.left(), QUICK_ROUNDS if self.quick else ROUNDS)

    def do(self, part: Part) -> None:
        """The part with its results, its error, or why it was skipped."""
        entry: dict[str, Any] = {"seconds": 0.0}
        rows = self.found["parts"].get("speed, batch 1", {}).get("result", {})
        needed = 0 if self.quick else part.seconds
        needed += part.steps * sum(each["seconds"] for each in rows.values())
        if self.left() < needed:
            entry["skipped"] = f"{self.left():.0f} s were left, it takes {needed:.0f} or more"
        else:
            print(f"{part.name} ...", file=sys.stderr, flush=True)
            self.found["running"] = part.name
            self.write()
            self._measure(part, entry)
        self.found["parts"][part.name] = entry
        self.found["running"] = None
        self.write()

    def _measure(self, part: Part, entry: dict[str, Any]) -> None:
        began = time.perf_counter()
        try:
            for result in part.work(self):
                entry["result"], entry["seconds"] = result, time.perf_counter() - began
                self.found["parts"][part.name] = entry
                self.write()
        except Skipped as reason:
            entry["skipped"] = str(reason)
        except Exception as error:  # whatever a device does not like is a finding
            entry["error"] = f"{type(error).__name__}: {error}"
            entry["traceback"] = traceback.format_exc()
        if "error" in entry:  # where models may have been left with gradients, or without room
            self._forget_models()
        entry["seconds"] = time.perf_counter() - began

    def _forget_models(self) -> None:
        speed_models.tokenizer.cache_clear()
        speed_models.guide.cache_clear()
        gc.collect()
        getattr(torch.get_device_module(self.device), "empty_cache", lambda: None)()

    def write(self) -> None:
        """Both files anew; whoever reads them finds a whole one."""
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            found = json.dumps(_finite(self.found), indent=2, allow_nan=False)
            for name, text in (("gpu_check.json", found), ("gpu_check.md", page(self.found))):
                new = self.folder / f"{name}.new"
                new.write_text(text + "\n", encoding="utf-8")
                os.replace(new, self.folder / name)

    def cut(self) -> None:
        """Ends the process at the limit, whatever hangs."""
        try:
            self.found["cut"] = f"the time was over in the part {self.found['running']!r}"
            self.write()
            print(page(self.found), flush=True)
        finally:
            os._exit(1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks, prints the table, and gives 0 if nothing failed."""
    options = _parse(arguments)
    check = Check(device_called(options.device), options.out, options.minutes, options.quick)
    limit = threading.Timer(check.left() + SLACK / 2, check.cut)
    limit.daemon = True
    limit.start()
    for part in PARTS:
        check.do(part)
    limit.cancel()
    check.found["complete"] = True
    check.write()
    print(page(check.found))
    return 1 if _failed(check.found) else 0


def _results(check: Check, exactly: bool) -> Iterator[list[gpu_compare.Row]]:
    """All rows so far, after each pair of models; those that may take too long are not begun."""
    quick = [Models(SMALL.tokenizer, "small-siglip")]  # a pair that was not looked at yet
    cases = EVERY_SMALL if exactly else quick if check.quick else EVERY_FULL
    rows: list[gpu_compare.Row] = []
    longest = 0.0
    for case in cases:
        if check.left() < 1.5 * longest:
            name = gpu_compare.called(case)
            raise Skipped(f"{check.left():.0f} s were left: from {name} on nothing was compared")
        before = check.left()
        try:
            rows += gpu_compare.compare(case, check.device, exactly=exactly)
        except Exception as error:  # of this kind; the others may be well
            rows.append(gpu_compare.failure(gpu_compare.called(case), "", error))
        longest = max(longest, before - check.left())
        yield rows


def _run(check: Check) -> Iterator[list[gpu_compare.Row]]:
    rows: list[gpu_compare.Row] = []
    for row in gpu_compare.run(check.device, QUICK_RUN_STEPS if check.quick else RUN_STEPS):
        rows.append(row)
        yield rows


def _loop(check: Check, batch: int = 1) -> Iterator[dict[str, Any]]:
    yield speed_loop.compare(check.device, check.rounds(0.2), batch, models=check.models)


def _traces(check: Check) -> Iterator[dict[str, Any]]:
    yield speed_loop.traces(check.device, models=check.models)


def _models(check: Check) -> Iterator[dict[str, Any]]:
    yield speed_parts.models(check.device, check.rounds(0.04), check.models)


def _search(check: Check) -> Iterator[dict[str, Any]]:
    small = speed_models.tokenizer("small-vq-l2", check.device) if check.quick else None
    yield speed_parts.search(check.device, check.rounds(0.1), small)


def _memory(check: Check) -> Iterator[dict[str, float]]:
    backend = torch.get_device_module(check.device)
    if check.device.type != "cpu" and not hasattr(backend, "reset_peak_memory_stats"):
        raise Skipped("this device does not count its memory")
    names = ["plain", "ours, float32", "ours, bfloat16", "ours, float16"]
    yield speed_loop.peaks(check.device, names, check.models)


def _profile(check: Check) -> Iterator[dict[str, Any]]:
    yield profile(check.device, check.models)


PARTS = (
    Part("results, small models", partial(_results, exactly=True)),
    Part("results, a run of the demo", _run, seconds=20),
    Part("speed, batch 1", _loop, seconds=60),
    Part("speed, the same losses", _traces, seconds=5, steps=4),
    Part("speed, batch 8", partial(_loop, batch=8), seconds=15, steps=3 * 8),
    Part("speed, models alone", _models, seconds=15, steps=8),
    Part("speed, search", _search, seconds=15),
    Part("memory", _memory, seconds=10, steps=3),
    Part("profile of a step", _profile, seconds=10, steps=6),
    Part("results, full models", partial(_results, exactly=False), seconds=45),
)


def _failed(found: dict[str, Any]) -> bool:
    parts = found["parts"].values()
    results = [part["result"] for part in parts if isinstance(part.get("result"), list)]
    wrong = any(not row["passed"] for rows in results for row in rows)
    traces = found["parts"].get("speed, the same losses", {}).get("result", {})
    return wrong or not traces.get("equal", True) or any("error" in part for part in parts)


def _finite(value: Any) -> Any:
    """The same without NaN and infinity, which JSON does not have: they become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.gpu_check", None, __doc__.split("\n")[0])
    parser.add_argument("--device", default="auto", help="auto (default), cpu, or a torch device")
    parser.add_argument("--out", type=Path, default=Path("gpu_check"), metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=8, help="the limit, default 8")
    parser.add_argument("--quick", action="store_true", help="small models, a few steps")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
