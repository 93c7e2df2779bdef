"""Reports of a run: chart, record, figures for scripts, notes in the node, a line in the log."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from ...tokenopt_core.tokens.text import codes_to_text
from ..host.compat import COMFYUI_VERSION
from ..host.images import from_pil
from ..host.sockets import LoadedGuide, LoadedTokenizer
from ..host.stop import STOPPED
from ..losses.recipe import LossRecipe
from ..report.chart import Curve, draw_chart
from ..report.words import mean
from .run import Outcome

_PROJECT = Path(__file__).parents[2] / "pyproject.toml"

log = logging.getLogger(__name__)


def chart(outcome: Outcome) -> Tensor:
    """The loss chart as an image (1, 3, h, w) in [0, 1]."""
    recorder = outcome.recorder
    curves, penalty = recorder.curves(), recorder.penalty_curve()
    pulled = any(value for row in penalty for value in row if math.isfinite(value))
    drawn = draw_chart(
        curves,
        beside={"pull of the regularizer": penalty} if pulled else None,
        title=_title(outcome),
        ends=_ends(recorder.loss_curve(), recorder.stopped),
    )
    return from_pil(drawn)


def record_text(outcome: Outcome, loss: LossRecipe, tokenizer: LoadedTokenizer) -> str:
    """The run record as JSON text."""
    record = outcome.recorder.record()
    codes = outcome.recorder.after
    text = "" if codes is None else codes_to_text(tokenizer.module, codes, tokenizer.name)
    record["codes_text"] = text.splitlines() or None
    record["guides"] = [guide.name for guide in loss.guides]
    record["losses"] = _described(loss)
    record["caption"] = tokenizer.caption and tokenizer.caption.text
    record["stopped_by_user"] = outcome.stopped_by_user
    record["remarks"] = list(outcome.remarks)
    record["versions"] |= {"comfyui": COMFYUI_VERSION, "tokenopt": pack_version()}
    return json.dumps(record)


def ui_report(outcome: Outcome) -> str:
    """The figures that scripts read from the node's ui output, as JSON text.

    `loss_first` and `loss_last` have one number per image (of an image that stopped early the last
    one before), `stopped` one reason or null per image.
    """
    recorder = outcome.recorder
    curve = recorder.loss_curve()
    report = {
        "loss_first": [_rounded(value) for value in curve[0]],
        "loss_last": [_rounded(_last(column)) for column in zip(*curve, strict=True)],
        "seconds": round(recorder.seconds, 3),
        "steps": len(curve),
        "steps_planned": recorder.config.steps,
        "keep": recorder.config.keep,
        "stopped": list(recorder.stopped),
        "stopped_by_user": outcome.stopped_by_user,
    }
    return json.dumps(report)


def notes(outcome: Outcome) -> list[str]:
    """Sentences to show in the node: what the losses remark, and why images stopped early."""
    lines = list(outcome.remarks)
    steps, planned = len(outcome.recorder.loss_curve()), outcome.recorder.config.steps
    if outcome.stopped_by_user and steps < planned:
        lines.append(f"{STOPPED} after step {steps} of {planned}; the result so far is kept")
    reasons = outcome.recorder.stopped
    name = "" if len(reasons) == 1 else "image {}: "
    lines += [name.format(k) + reason for k, reason in enumerate(reasons) if reason]
    return lines


@lru_cache(maxsize=1)
def pack_version() -> str:
    """This pack's version, as its project file says."""
    version = re.search(r'^version = "([^"]+)"', _PROJECT.read_text(encoding="utf-8"), re.MULTILINE)
    return version[1] if version else "unknown"


def _described(loss: LossRecipe) -> list[dict[str, Any]]:
    """The terms of a loss: of each its kind and all settings that are words or numbers."""
    terms = []
    for term in loss.terms:
        settings = {"kind": type(term).__name__}
        for field in dataclasses.fields(term):
            value = getattr(term, field.name)
            if isinstance(value, LossRecipe):
                settings[field.name] = _described(value)
            elif isinstance(value, LoadedGuide):
                settings[field.name] = value.name
            elif value is None or isinstance(value, str | int | float):
                settings[field.name] = value
            elif isinstance(value, tuple) and all(isinstance(part, str) for part in value):
                settings[field.name] = list(value)
            elif callable(value):
                settings[field.name] = getattr(value, "__name__", type(value).__name__)
        terms.append(settings)
    return terms


def _title(outcome: Outcome) -> str:
    recorder = outcome.recorder
    steps, planned = len(recorder.loss_curve()), recorder.config.steps
    title = _steps_text(steps, planned)
    if outcome.stopped_by_user and steps < planned:
        title += f", {STOPPED}"
    images = len(recorder.stopped)
    return f"{title}, {recorder.seconds:.1f} s" + (f", {images} images" if images > 1 else "")


def _steps_text(steps: int, planned: int) -> str:
    return f"{steps} steps" if steps == planned else f"{steps} of {planned} steps"


def _ends(curve: Curve, stopped: tuple[str | None, ...]) -> list[int | None]:
    """Index of the last step of each image that stopped by itself."""
    ends: list[int | None] = []
    for column, reason in zip(zip(*curve, strict=True), stopped, strict=True):
        finite = [i for i, value in enumerate(column) if math.isfinite(value)]
        ends.append(finite[-1] if reason and finite else None)
    return ends


def _last(column: tuple[float, ...]) -> float:
    return next((value for value in reversed(column) if math.isfinite(value)), math.nan)


def _rounded(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def log_result(report: str) -> None:
    """Logs one line about a run, from the report that its node gives to scripts (`ui_report`)."""
    figures = json.loads(report)
    steps = _steps_text(figures["steps"], figures["steps_planned"])
    losses = [mean(figures[name]) for name in ("loss_first", "loss_last")]
    images = len(figures["loss_last"])
    of = f" (mean of {images} images)" if images > 1 else ""
    log.info("TokenOpt: %s in %.1f s, loss %s -> %s%s", steps, figures["seconds"], *losses, of)
