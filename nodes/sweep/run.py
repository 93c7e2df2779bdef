"""The runs of a sweep one after the other, and what is kept of each.

Axes: b images, s = the tokenizer's image size.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ...tokenopt_core.compute.seeds import image_seeds
from ...tokenopt_core.optimize.loop import render
from ..host.memory import Level, MemoryRetry
from ..host.models import activation_bytes, gradient_scope
from ..host.progress import Draw, RunProgress, StepBar
from ..host.run_log import in_words
from ..host.sockets import LoadedTokenizer, Options, Tokens
from ..host.stop import StopFlag
from ..losses.recipe import LossRecipe
from ..losses.terms import Batch
from ..optimize.run import Outcome, run_optimization
from .plan import Plan
from .settings import Job

log = logging.getLogger(__name__)

EVALUATIONS = 4  # with random crops a single value of a loss says little
SCORE_SEED = 2**40  # of crops that no run is likely to have optimized
PREVIEWS = 10  # of each run
PREVIEW_SIZE = 1024


@dataclass(frozen=True)
class Result:
    """What is kept of one run.

    Args:
        images: (b, 3, s, s) in [0, 1] on the CPU.
        loss, terms: of the images, the mean over them, with the same crops for every run.
        steps: made, of `planned`.
        early: the run ended before its last step.
        curve: of its loss, for the node's ui output.
    """

    images: Tensor = field(repr=False)
    loss: float
    terms: dict[str, float]
    steps: int
    planned: int
    seconds: float
    early: bool
    remarks: tuple[str, ...]
    curve: dict[str, list] = field(repr=False)


class Start(NamedTuple):
    """Features (b, n, d), and whether they are quantized to be decoded."""

    features: Tensor
    quantize: bool


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
        draw: a sheet of the sweep so far, of its results and the images of the run under way.
    """
    options = replace(options or Options(), trajectory_frames=0)
    start = _start_of(tokens, options)
    bar, done, results, retry = StepBar(plan.steps), 0, [], MemoryRetry()
    for number, job in enumerate(plan.jobs, 1):
        follow = RunProgress(
            job.config.steps,
            _previews(job.config.steps, partial(draw, results)),
            bar,
            before=done,
            title=f"run {number} of {len(plan.jobs)}",
            size=PREVIEW_SIZE,
        )
        outcome = run_optimization(
            tokenizer,
            tokens,
            job.loss,
            job.config,
            seed=job.seed,
            options=options,
            follow=follow,
            stop=stop,
            retry=retry,
        )
        results.append(_result(plan, job, tokenizer, start, outcome, retry, follow.feed.ui()))
        if stop.raised:
            break
        done += job.config.steps
    _log_end(results)
    return results


def _log_end(results: Sequence[Result]) -> None:
    seconds, lowest = sum(each.seconds for each in results), min(each.loss for each in results)
    log.info("TokenOpt: %d runs in %s, lowest loss %.4g", len(results), in_words(seconds), lowest)


def _previews(steps: int, draw: Callable[[Tensor], Image.Image]) -> Draw:
    """Draws the sweep so far a few times in a run of so many steps, at the first one too."""
    every = max(1, steps // PREVIEWS)
    return lambda step: draw(step.images) if step.index % every == 0 else None


def _start_of(tokens: Tokens, options: Options) -> Start:
    """What the runs begin with; one that goes on compares with where it began at first."""
    if options.warm_restart and tokens.state:
        return Start(tokens.state.start, tokens.state.quantize)
    return Start(tokens.values, not tokens.quantized)


def _result(
    plan: Plan,
    job: Job,
    tokenizer: LoadedTokenizer,
    start: Start,
    outcome: Outcome,
    retry: MemoryRetry,
    curve: dict[str, list],
) -> Result:
    judge = plan.judged_by(job)
    terms = retry.run(
        lambda: _scores(judge, tokenizer, start, outcome.images, retry.level),
        judge.smallest_chunks,
    )
    made, planned = len(outcome.recorder.loss_curve()), job.config.steps
    return Result(
        images=outcome.images,
        loss=sum(terms.values()),
        terms=terms,
        steps=made,
        planned=planned,
        seconds=outcome.recorder.seconds,
        early=made < planned,
        remarks=outcome.remarks,
        curve=curve,
    )


@torch.no_grad()
def _scores(
    recipe: LossRecipe, tokenizer: LoadedTokenizer, start: Start, images: Tensor, level: Level
) -> dict[str, float]:
    """The loss's terms for images (b, 3, s, s), as at the end of a run from this start: the mean
    over the images and over a few evaluations, whose crops are the same for every run."""
    size, batch = tokenizer.spec.image_size, len(images)
    memory = activation_bytes(size, batch, gradients=False)
    with gradient_scope(tokenizer, *recipe.guides, memory=memory) as device:
        total = recipe.build(Batch(device, size, batch, level))

        def begun() -> Tensor:
            return render(tokenizer.module, start.features.to(device), start.quantize)[0]

        loss = total.seeded(image_seeds(SCORE_SEED, batch)).started(begun).at(1.0)
        values = [loss.terms(images.to(device)) for _ in range(EVALUATIONS)]
        return {
            name: torch.stack([terms[name] for terms in values]).mean().item() for name in values[0]
        }
