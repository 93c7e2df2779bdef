"""Checks what a GPU computes, and how fast: one command, and a table fit for a bug report.

python -m benchmarks.gpu_check                   on the accelerator, below 8 minutes
python -m benchmarks.gpu_check --device cpu      on another device
python -m benchmarks.gpu_check --quick           small models only: seconds, and no figure of worth

Needs the pack's requirements; nothing is installed or downloaded. Its files are written anew after
each part: one that fails, or for which no time is left, is marked as such, and the others go on.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from .. import command
from ..speed import loop, models, parts
from ..speed.clock import device_called
from ..speed.models import EVERY_FULL, EVERY_SMALL, SMALL, ModelSet
from ..speed.step_profile import profile
from . import compare, demo_run
from .check import SLACK, Check, Part, Skipped
from .page import page
from .rows import Row, failure

RUN_STEPS, QUICK_RUN_STEPS = 60, 2
LARGE_BATCH, QUICK_LARGE_BATCH = 8, 2


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
    check.figures["complete"] = True
    check.write()
    print(page(check.figures))
    return 1 if _failed(check.figures) else 0


def _results(check: Check, exactly: bool) -> Iterator[list[Row]]:
    """All rows so far, after each pair of models; those that may take too long are not begun."""
    quick = [ModelSet(SMALL.tokenizer, "small-siglip")]  # a pair that the small models do not cover
    cases = EVERY_SMALL if exactly else quick if check.quick else EVERY_FULL
    rows: list[Row] = []
    longest = 0.0
    for case in cases:
        if check.left() < 1.5 * longest:
            name = compare.names_of(case)
            raise Skipped(f"{check.left():.0f} s were left: from {name} on nothing was compared")
        before = check.left()
        try:
            rows += compare.compare(case, check.device, exactly=exactly)
        except Exception as error:  # of this kind; the others may be well
            rows.append(failure(compare.names_of(case), "", error))
        longest = max(longest, before - check.left())
        yield rows


def _run(check: Check) -> Iterator[list[Row]]:
    rows: list[Row] = []
    for row in demo_run.compare_run(check.device, QUICK_RUN_STEPS if check.quick else RUN_STEPS):
        rows.append(row)
        yield rows


def _loop(check: Check) -> Iterator[dict[str, Any]]:
    yield loop.compare(check.device, check.rounds(0.2), model_set=check.model_set)


def _large_loop(check: Check) -> Iterator[dict[str, Any]]:
    batch = QUICK_LARGE_BATCH if check.quick else LARGE_BATCH
    yield loop.compare(check.device, check.rounds(0.2), batch, model_set=check.model_set)


def _traces(check: Check) -> Iterator[dict[str, Any]]:
    yield loop.traces(check.device, model_set=check.model_set)


def _models(check: Check) -> Iterator[dict[str, Any]]:
    yield parts.models_alone(check.device, check.rounds(0.04), check.model_set)


def _search(check: Check) -> Iterator[dict[str, Any]]:
    small = models.tokenizer("small-vq-l2", check.device) if check.quick else None
    yield parts.search(check.device, check.rounds(0.1), small)


def _memory(check: Check) -> Iterator[dict[str, float]]:
    backend = torch.get_device_module(check.device)
    if check.device.type != "cpu" and not hasattr(backend, "reset_peak_memory_stats"):
        raise Skipped("this device does not count its memory")
    names = ["plain", "ours, float32", "ours, bfloat16", "ours, float16"]
    yield loop.peaks(check.device, names, check.model_set)


def _profile(check: Check) -> Iterator[dict[str, Any]]:
    yield profile(check.device, check.model_set)


PARTS = (
    Part("results, small models", partial(_results, exactly=True)),
    Part("results, a run of the demo", _run, seconds=20),
    Part("speed, batch 1", _loop, seconds=60),
    Part("speed, the same losses", _traces, seconds=5, steps=4),
    Part("speed, batch 8", _large_loop, seconds=15, steps=3 * LARGE_BATCH),
    Part("speed, models alone", _models, seconds=15, steps=8),
    Part("speed, search", _search, seconds=15),
    Part("memory", _memory, seconds=10, steps=3),
    Part("profile of a step", _profile, seconds=10, steps=6),
    Part("results, full models", partial(_results, exactly=False), seconds=45),
)


def _failed(figures: dict[str, Any]) -> bool:
    parts = figures["parts"].values()
    results = [part["result"] for part in parts if isinstance(part.get("result"), list)]
    wrong = any(not row["passed"] for rows in results for row in rows)
    traces = figures["parts"].get("speed, the same losses", {}).get("result", {})
    return wrong or not traces.get("equal", True) or any("error" in part for part in parts)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("gpu_check", __doc__)
    parser.add_argument("--device", default="auto", help="auto, cpu, or a torch device")
    parser.add_argument("--out", type=Path, default=Path("gpu_check"), help="folder of the files")
    parser.add_argument("--minutes", type=float, default=8, help="the limit")
    parser.add_argument("--quick", action="store_true", help="small models, a few steps")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
