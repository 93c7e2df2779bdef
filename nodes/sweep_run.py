"""The runs of a sweep one after the other, and what is kept of each.

Axes: b images, s = the tokenizer's image size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from PIL import Image
from torch import Tensor

from ..tokenopt_core.config import Step
from .charts import Curve
from .compat import ProgressBar, model_management
from .options import Options
from .run import Outcome, run_optimization
from .stop import StopFlag
from .sweep_plan import Plan
from .types import LoadedTokenizer, Tokens

LOOKS = 10  # with random crops and noise a single value of a loss says little
PREVIEWS = 10  # of each run
PREVIEW_SIZE = 1024


@dataclass(frozen=True)
class Result:
    """What is kept of one run.

    Args:
        images: (b, 3, s, s) in [0, 1] on the CPU.
        loss, terms: means over the last looks, then over the images.
        steps: made, of `planned`.
        early: the run ended before its last step.
    """

    images: Tensor = field(repr=False)
    loss: float
    terms: dict[str, float]
    steps: int
    planned: int
    seconds: float
    early: bool
    remarks: tuple[str, ...]


def run_plan(
    plan: Plan,
    tokenizer: LoadedTokenizer,
    tokens: Tokens,
    options: Options | None,
    stop: StopFlag,
    draw: Callable[[Sequence[Result], Tensor], Image.Image],
) -> list[Result]:
    """The results of all jobs in order; of the first ones if `stop` is raised in between.

    Args:
        draw: a picture of the sweep so far, of its results and the images of the run under way.
    """
    options = replace(options or Options(), trajectory_frames=0)
    bar, done, results = ProgressBar(plan.steps), 0, []
    for job in plan.jobs:
        every = max(1, job.config.steps // PREVIEWS)

        def follow(step: Step, done: int = done, every: int = every) -> None:
            model_management.throw_exception_if_processing_interrupted()
            image = None
            if step.index % every == 0:
                image = ("JPEG", draw(results, step.images), PREVIEW_SIZE)
            bar.update_absolute(done + step.index + 1, plan.steps, image)

        outcome = run_optimization(
            tokenizer,
            tokens,
            job.loss,
            job.config,
            seed=job.seed,
            options=options,
            follow=follow,
            stop=stop,
        )
        results.append(_result(outcome))
        if stop.raised:
            break
        done += job.config.steps
    return results


def _result(outcome: Outcome) -> Result:
    recorder = outcome.recorder
    curve = recorder.loss_curve()
    return Result(
        images=outcome.images,
        loss=_final(curve),
        terms={name: _final(values) for name, values in recorder.curves().items()},
        steps=len(curve),
        planned=recorder.config.steps,
        seconds=recorder.seconds,
        early=len(curve) < recorder.config.steps,
        remarks=outcome.remarks,
    )


def _final(curve: Curve) -> float:
    """The mean over the images of each one's mean over its last looks; nan if there is none."""
    means = []
    for column in zip(*curve, strict=True):
        last = [value for value in column if math.isfinite(value)][-LOOKS:]
        if last:
            means.append(sum(last) / len(last))
    return sum(means) / len(means) if means else math.nan
