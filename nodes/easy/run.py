"""The work of both easy nodes: models, settings, several tries, and the result pasted back.

Axes: b images, t tries of each, h x w pixels of an image, s x s of the tokenizer's square.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...tokenopt_core.compute.seeds import image_seeds
from ...tokenopt_core.guides.retrieval import read_scenes
from ...tokenopt_core.losses.prompts import parse_prompt
from ...tokenopt_core.optimize.config import OptimizeConfig
from ...tokenopt_core.optimize.record import Curve
from ..host.compat import io
from ..host.images import to_images
from ..host.models import keep_until_unloaded
from ..host.progress import RunProgress, every
from ..host.sockets import Caption, FittedImages, LoadedGuide, LoadedTokenizer, Tokens
from ..host.stop import stoppable
from ..host.widgets import SEEDS
from ..images.fitted import SOFT_EDGE, pasted_back, squares_of
from ..loaders.captions import captioned
from ..loaders.menu import guide_named, tokenizer_named
from ..losses.prompts import check_words, for_images, optional_lines, prompt_lines
from ..losses.recipe import LossRecipe
from ..losses.terms import ClipTerm
from ..optimize.report import log_result, notes, record_text, ui_report
from ..optimize.run import run_optimization
from ..tokens.batches import decoded, encoded
from .inputs import MODELS

LAST = 10  # steps at the end of a run; one alone has other crops in every try
PREVIEW_EVERY = 5
# Between the seeds of two tries: a user's next seed must not give the same tries again.
NEXT_TRY = 1_000_003
# Decibels (PSNR): the demo tokenizer gives its scenes back with 25 to 40, with 15 at least beside a
# large black hole, as mask editors leave one; photographs with 6 to 13.
FOREIGN = 14.0
NO_SOURCE = (
    "source_prompt is empty, so the whole image may change: write there what the image shows now, "
    "in words like the prompt's"
)


@dataclass(frozen=True)
class EasySettings:
    """What is chosen for the user.

    Args:
        config: fields of `OptimizeConfig`; the learning rate is the tokenizer's own.
        crops: of the CLIP loss.
        mirror: half of the crops.
    """

    config: dict[str, Any]
    crops: int
    mirror: bool


# The demo's were chosen on scenes of its own (benchmarks.science, experiments "tune"); mirrored
# crops would make left and right of its prompts the same.
DEMO = EasySettings({"ema_decay": 0.95, "token_noise": 0.6}, 4, False)
# For photographs the paper's (arXiv 2506.08257, appendix C).
PAPER = EasySettings({"ema_decay": 0.98}, 8, True)


@dataclass(frozen=True)
class Models:
    """The two models of a run, and the settings that suit them."""

    tokenizer: LoadedTokenizer
    guide: LoadedGuide

    @property
    def image_size(self) -> int:
        return self.tokenizer.spec.image_size

    @property
    def settings(self) -> EasySettings:
        return DEMO if self.tokenizer.name == "demo" else PAPER


def models_of(
    choice: str,
    tokenizer: LoadedTokenizer | None,
    guide: LoadedGuide | None,
    caption: Caption | None,
) -> Models:
    """The connected models; in place of a missing one that of the choice."""
    names = MODELS[choice]
    if tokenizer is None:
        tokenizer = tokenizer_named(names[0])
        keep_until_unloaded(tokenizer)
    if guide is None:
        guide = guide_named(names[1])
        keep_until_unloaded(guide)
    return Models(captioned(tokenizer, caption), guide)


def run_easily(
    models: Models,
    images: Tensor,
    fitted: FittedImages,
    original: Tensor,
    *,
    prompt: str,
    loss: Callable[[ClipTerm, Tensor, Tensor], LossRecipe],
    steps: int,
    tries: int,
    seed: int,
    source_prompt: str = "",
    preserve: float = 0.0,
) -> io.NodeOutput:
    """The original images, edited, with the record of the run.

    Args:
        images: (b, 3, h, w) of the IMAGE `original`.
        loss: makes the aim of the prompt's term, the squares (t b, 3, s, s) and the masks
            (1 or t b, 1, s, s).
        source_prompt: what they show; read by the guide where it is empty and the guide can.
    """
    squares, masks = squares_of(images, fitted)
    repeated = squares.repeat(tries, 1, 1, 1)
    term = _prompt_term(models, prompt, len(squares), tries)
    if preserve:
        source = _source(models, squares, term, source_prompt)
        source = source * tries if len(source) > 1 else source
        term = replace(term, source=source, preserve=preserve)
    aim = loss(term, repeated, masks.repeat(tries, 1, 1, 1) if len(masks) > 1 else masks)
    tokens = encoded(models.tokenizer, repeated)
    config = OptimizeConfig(steps=steps, **models.settings.config)
    seeds = seeds_of(seed, len(squares), tries)
    follow = RunProgress(steps, every(PREVIEW_EVERY, steps))
    with stoppable() as stop:
        outcome = run_optimization(
            models.tokenizer, tokens, aim, config, seed=seeds, follow=follow, stop=stop
        )
    best = best_rows(outcome.recorder.loss_curve(), len(squares))
    image = pasted_back(outcome.images[best], fitted, original, SOFT_EDGE)
    known = None if fitted.mask is None else 1 - masks
    remarks = [*fitted.remarks, *remarks_of(models.tokenizer, squares, tokens, known)]
    if preserve and not term.source:
        remarks.append(NO_SOURCE)
    report = ui_report(outcome)
    log_result(report)
    shown = {"tokenopt": [report], "tokenopt_notes": [*remarks, *notes(outcome)]}
    record = record_text(outcome, aim, models.tokenizer)
    return io.NodeOutput(image, record, ui={**shown, **follow.feed.ui()})


def _prompt_term(models: Models, prompt: str, count: int, tries: int) -> ClipTerm:
    """What is asked of `count` images, of each in all tries."""
    lines = for_images(prompt_lines(prompt), count)
    prompts = lines * tries if len(lines) > 1 else lines
    settings = models.settings
    return ClipTerm(models.guide, prompts, None, settings.crops, 1.0, 0.0, settings.mirror)


def _source(models: Models, squares: Tensor, term: ClipTerm, source_prompt: str) -> tuple[str, ...]:
    """What the squares (b, 3, s, s) show, in one line or one each; none where nobody says it."""
    count = len(squares)
    if lines := optional_lines(source_prompt):
        check_words(models.guide, lines, "source_prompt")
        return for_images(lines, count, "source_prompt")
    if models.guide.name != "demo":
        return ()
    lines = term.lines[:count] if len(term.lines) > 1 else term.lines * count
    asked = [" ".join(p.text for p in parse_prompt(line) if p.weight > 0) for line in lines]
    return tuple(read_scenes(models.guide.module, squares, asked)) if all(asked) else ()


def seeds_of(seed: int, count: int, tries: int) -> list[int]:
    """One for each image of a batch (t b): those of the first try are the user's."""
    return [s for k in range(tries) for s in image_seeds((seed + k * NEXT_TRY) % SEEDS, count)]


def best_rows(curve: Curve, count: int) -> list[int]:
    """For each of `count` images the row (t b) that had the lowest mean loss in the end."""
    ends = [statistics.fmean(_finite(column)[-LAST:]) for column in zip(*curve, strict=True)]
    return [min(range(i, len(ends), count), key=ends.__getitem__) for i in range(count)]


def _finite(values: Sequence[float]) -> list[float]:
    """Those before an image stopped; a loss without any is the worst."""
    return [value for value in values if math.isfinite(value)] or [math.inf]


def remarks_of(
    tokenizer: LoadedTokenizer, squares: Tensor, tokens: Tokens, known: Tensor | None = None
) -> list[str]:
    """A sentence if the demo tokenizer cannot draw one of the squares (b, 3, s, s).

    Args:
        tokens: of those squares first.
        known: (1 or b, 1, s, s), the share of each pixel that counts; None is all of each, and so
            is a square without any.
    """
    if tokenizer.name != "demo":
        return []
    first = Tokens(tokens.values[: len(squares)], tokens.quantized, tokens.tokenizer)
    drawn = to_images(decoded(tokenizer, first))
    counts = squares.new_ones(1, 1, 1, 1) if known is None else known
    counts = torch.where(counts.amax((2, 3), keepdim=True) > 0, counts, 1.0).expand_as(squares)
    error = (drawn - squares).square().mul(counts).sum((1, 2, 3)) / counts.sum((1, 2, 3))
    error = error.clamp(min=1e-10)
    if (-10 * error.log10()).min() >= FOREIGN:
        return []
    return [
        "the demo models know only the scenes of Demo Scene, and cannot draw this image: set "
        "models to photos for other images (a download of 3.2 GB), or connect tokenizer and guide"
    ]
