"""A check in progress: its parts, its time limit, and its files."""

from __future__ import annotations

import gc
import json
import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..speed import models
from ..speed.clock import Rounds, machine
from ..speed.models import FULL, SMALL
from .page import page

ROUNDS, QUICK_ROUNDS = 5, 1
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
    """A part, or the rest of it, cannot be done here, which is no failure; the message says why."""


class Check:
    """One check: runs its parts and keeps its files up to date."""

    def __init__(self, device: torch.device, folder: Path, minutes: float, quick: bool):
        self.device, self.folder, self.quick = device, folder, quick
        self.ends = time.perf_counter() + 60 * minutes - SLACK
        self.model_set = SMALL if quick else FULL
        self.figures = {"machine": machine(device), "quick": quick, "complete": False}
        self.figures |= {"running": None, "parts": {}}
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
        rows = self.figures["parts"].get("speed, batch 1", {}).get("result", {})
        needed = 0 if self.quick else part.seconds
        needed += part.steps * sum(each["seconds"] for each in rows.values())
        if self.left() < needed:
            entry["skipped"] = f"{self.left():.0f} s were left, it takes {needed:.0f} or more"
        else:
            print(f"{part.name} ...", file=sys.stderr, flush=True)
            self.figures["running"] = part.name
            self.write()
            self._measure(part, entry)
        self.figures["parts"][part.name] = entry
        self.figures["running"] = None
        self.write()

    def _measure(self, part: Part, entry: dict[str, Any]) -> None:
        began = time.perf_counter()
        try:
            for result in part.work(self):
                entry["result"], entry["seconds"] = result, time.perf_counter() - began
                self.figures["parts"][part.name] = entry
                self.write()
        except Skipped as reason:
            entry["skipped"] = str(reason)
        except Exception as error:  # any error of a device is a finding
            entry["error"] = f"{type(error).__name__}: {error}"
            entry["traceback"] = traceback.format_exc()
        if "error" in entry:  # where models may have been left with gradients, or without room
            self._forget_models()
        entry["seconds"] = time.perf_counter() - began

    def _forget_models(self) -> None:
        models.tokenizer.cache_clear()
        models.guide.cache_clear()
        gc.collect()
        getattr(torch.get_device_module(self.device), "empty_cache", lambda: None)()

    def write(self) -> None:
        """Writes both files anew; a reader always finds a complete one."""
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(_finite(self.figures), indent=2, allow_nan=False)
            for name, content in (("gpu_check.json", text), ("gpu_check.md", page(self.figures))):
                new = self.folder / f"{name}.new"
                new.write_text(content + "\n", encoding="utf-8")
                os.replace(new, self.folder / name)

    def cut(self) -> None:
        """Ends the process at the limit, even if a part hangs."""
        try:
            self.figures["cut"] = f"the time was over in the part {self.figures['running']!r}"
            self.write()
            print(page(self.figures), flush=True)
        finally:
            os._exit(1)


def _finite(value: Any) -> Any:
    """The same without NaN and infinity, which JSON does not have: they become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value
