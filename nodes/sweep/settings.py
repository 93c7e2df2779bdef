"""The settings that a sweep can vary, of the run or its losses, their values read from text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ...tokenopt_core.checks import shown
from ...tokenopt_core.optimize.config import KEEPS, REGULARIZERS, SCHEDULES, OptimizeConfig
from ..host.widgets import MOST_WEIGHT, SEEDS
from ..losses.prompts import prompt_lines
from ..losses.recipe import LossRecipe, prompt_remarks
from ..losses.terms import ClipTerm, ImagePromptTerm, MaskedTerm

_DECIMAL_COMMA = re.compile(r"\d+,\d+")
SWITCH = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


@dataclass(frozen=True)
class Job:
    """One run of a sweep, before it is made."""

    config: OptimizeConfig
    loss: LossRecipe
    seed: int


@dataclass(frozen=True)
class Setting:
    """Something to vary.

    Args:
        expected: what a value is, for messages.
        read: the value in a text; ValueError if there is none.
        change: a job with that value; ValueError if the job has nothing to change.
        same_loss: losses of runs that differ only in this are numbers of the same kind.
    """

    expected: str
    read: Callable[[str], Any]
    change: Callable[[Job, Any], Job]
    same_loss: bool = True


def read_values(name: str, text: str, label: str) -> tuple[list[str], list[Any]]:
    """The values of a setting in a text, as written and as read, in order.

    Values stand between semicolons or on lines of their own; numbers may stand between commas.

    Raises:
        ValueError: there is none, one cannot be read, or one occurs twice; `label` is the input.
    """
    setting = SETTINGS[name]
    parts = [part.strip() for part in re.split(r"[;\n]", text) if part.strip()]
    points = [f"{point}, not {part}" for part in parts if (point := with_point(name, part))]
    hint = f" and a point in a number: {points[0]}" if points else ""
    if len(parts) == 1 and name != "prompt":
        parts = [part.strip() for part in parts[0].split(",") if part.strip()]
    if not parts:
        raise ValueError(
            f"{label} is empty; expected values of {name} with ; between them, each "
            f"{setting.expected}."
        )
    values = []
    for part in parts:
        try:
            value = setting.read(part)
        except ValueError:
            raise ValueError(
                f"{label} has {shown(part)} for {name}; expected {setting.expected}, with ; "
                f"between two values{hint}."
            ) from None
        if value in values:
            raise ValueError(f"{label} has {shown(part)} twice; each value of {name} is run once.")
        values.append(value)
    return parts, values


def with_point(name: str, text: str) -> str | None:
    """The number that two digits with a comma between them, "0,5", are where a comma is a decimal
    point; None of any other text, and where the setting takes no such number."""
    point = text.strip().replace(",", ".")
    if name == "prompt" or not _DECIMAL_COMMA.fullmatch(text.strip()):
        return None
    try:
        SETTINGS[name].read(point)
    except ValueError:
        return None
    return point


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise ValueError
        return value

    return read


def _number(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if not math.isfinite(value) or not least <= value <= most:
            raise ValueError
        return value

    return read


def _choice(options: dict[str, Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if text.lower() not in options:
            raise ValueError
        return options[text.lower()]

    return read


def _config(field: str) -> Callable[[Job, Any], Job]:
    return lambda job, value: replace(job, config=replace(job.config, **{field: value}))


def _with_pull(job: Job, weight: float) -> Job:
    kind = "seed" if job.config.regularize == "none" else job.config.regularize
    return replace(job, config=replace(job.config, regularize=kind, reg_weight=weight))


def _losses(kinds: type | tuple[type, ...], needs: str, field: str) -> Callable[[Job, Any], Job]:
    """Changes a field of all terms of some kinds; `needs` says what must be connected."""

    def change(job: Job, value: Any) -> Job:
        if not any(isinstance(term, kinds) for term in job.loss.every_term()):
            raise ValueError(f"it needs {needs} in the connected loss.")
        return replace(
            job,
            loss=job.loss.changed(
                lambda term: replace(term, **{field: value}) if isinstance(term, kinds) else term
            ),
        )

    return change


def _reset(job: Job, every: int) -> Job:
    if every and not any(isinstance(term, MaskedTerm) for term in job.loss.every_term()):
        raise ValueError("it needs an L1 Masked Loss in the connected loss.")
    return _config("reset_every")(job, every)


def _prompt(job: Job, text: str) -> Job:
    terms = [term for term in job.loss.every_term() if isinstance(term, ClipTerm)]
    if len({term.lines for term in terms}) > 1:
        raise ValueError(
            "it needs CLIP Loss nodes with one and the same prompt, or only one; the connected "
            f"loss has {len(terms)} with different ones."
        )
    job = _losses(ClipTerm, "a CLIP Loss", "lines")(job, prompt_lines(text))
    for term in job.loss.every_term():
        if isinstance(term, ClipTerm):
            prompt_remarks(term)  # refuses what the guide cannot read
    return job


def _negative_weight(job: Job, value: float) -> Job:
    terms = [term for term in job.loss.every_term() if isinstance(term, ClipTerm)]
    if not any(term.negative_prompt for term in terms):
        raise ValueError("it needs a CLIP Loss with a negative_prompt in the connected loss.")
    return _losses(ClipTerm, "a CLIP Loss", "negative_weight")(job, value)


def _preserve(job: Job, value: float) -> Job:
    if not any(isinstance(term, ClipTerm) and term.source for term in job.loss.every_term()):
        raise ValueError("it needs a CLIP Loss with a source_prompt in the connected loss.")
    return _losses(ClipTerm, "a CLIP Loss", "preserve")(job, value)


_WEIGHT = f"a number from 0 to {MOST_WEIGHT:g}"
_LOOKING = (ClipTerm, ImagePromptTerm)


def _one_of(names: tuple[str, ...]) -> tuple[str, Callable[[str], Any]]:
    return f"one of {', '.join(names)}", _choice({name: name for name in names})


SETTINGS: dict[str, Setting] = {
    "prompt": Setting("a prompt for all images", str, _prompt, same_loss=False),
    "steps": Setting("a whole number from 1 to 10000", _whole(1, 10000), _config("steps")),
    "lr": Setting("a number above 0, up to 10", _number(1e-9, 10), _config("lr")),
    "seed": Setting(
        "a whole number of 0 or more",
        _whole(0, SEEDS - 1),
        lambda job, value: replace(job, seed=value),
    ),
    "crops": Setting(
        "a whole number from 0 (the whole image) to 64",
        _whole(0, 64),
        _losses(_LOOKING, "a CLIP Loss or an Image Prompt Loss", "crops"),
    ),
    "ema_decay": Setting(
        "a number from 0 (off) to 0.9999", _number(0, 0.9999), _config("ema_decay")
    ),
    "noise_scale": Setting("a number from 0 (off) to 10", _number(0, 10), _config("token_noise")),
    "regularize": Setting(*_one_of(REGULARIZERS), _config("regularize")),
    "reg_weight": Setting("a number from 0 to 100", _number(0, 100), _with_pull),
    "quantize": Setting("on or off", _choice(SWITCH), _config("quantize")),
    "reset_every": Setting("a whole number from 0 (never) to 10000", _whole(0, 10000), _reset),
    "keep": Setting(*_one_of(KEEPS), _config("keep")),
    "lr_schedule": Setting(*_one_of(SCHEDULES), _config("lr_schedule")),
    "max_grad_norm": Setting(
        "a number from 0 (no limit) to 1000", _number(0, 1000), _config("max_grad_norm")
    ),
    "clip_weight": Setting(
        _WEIGHT, _number(0, MOST_WEIGHT), _losses(ClipTerm, "a CLIP Loss", "weight"), False
    ),
    "negative_weight": Setting("a number from 0 to 10", _number(0, 10), _negative_weight, False),
    "preserve": Setting("a number from 0 to 1", _number(0, 1), _preserve, False),
    "mask_weight": Setting(
        _WEIGHT, _number(0, MOST_WEIGHT), _losses(MaskedTerm, "an L1 Masked Loss", "weight"), False
    ),
}
