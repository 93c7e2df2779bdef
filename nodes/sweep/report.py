"""Reports of a sweep: the labelled grid of images, the table of scores, and notes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image
from torch import Tensor

from ..host.images import from_pil, preview
from ..host.stop import STOPPED
from ..report.sheet import Tile, draw_grid
from ..report.words import markdown_table, number
from .plan import Axis, Plan
from .run import Result

TILE, WIDE_TILE, SMALL_TILE = 256, 512, 112  # one image, several side by side, while it runs
MOST_IN_A_ROW = 6


def grid(plan: Plan, results: Sequence[Result]) -> Tensor:
    """The sheet of all runs, (1, 3, h, w) in [0, 1]."""
    images = results[0].images
    width = WIDE_TILE if len(images) > 1 else max(TILE, min(WIDE_TILE, images.shape[-1]))
    return from_pil(_draw(plan, results, None, width))


def live_grid(plan: Plan, results: Sequence[Result], running: Tensor) -> Image.Image:
    """A small sheet of the sweep so far; `running` are the images of the run under way."""
    return _draw(plan, results, running, SMALL_TILE * (2 if len(running) > 1 else 1))


def table(plan: Plan, results: Sequence[Result]) -> str:
    """One line for each run: its values, final loss, terms, steps and time (Markdown).

    The lowest loss is bold if the losses can be compared.
    """
    names = list(dict.fromkeys(name for result in results for name in result.terms))
    head = [axis.name for axis in plan.axes] + ["loss", *names, "steps", "seconds"]
    best = _best(plan, results)
    rows = [head]
    for run in range(len(plan.jobs)):
        row = list(plan.texts(run))
        if run < len(results):
            result = results[run]
            loss = number(result.loss)
            row.append(f"**{loss}**" if run == best else loss)
            row += [number(result.terms.get(name)) for name in names]
            steps = str(result.steps)
            row.append(f"{steps} of {result.planned}" if result.early else steps)
            row.append(f"{result.seconds:.1f}")
        else:
            row += ["not run"] + [""] * (len(names) + 2)
        rows.append(row)
    return markdown_table(rows)


def notes(plan: Plan, results: Sequence[Result], stopped: bool) -> list[str]:
    """Sentences for the user: how to read the table, what is missing, what the losses remark."""
    lines = ["loss and terms: of the images shown, weights included; lower is better"]
    if not plan.same_loss:
        names = " and ".join(axis.name for axis in plan.axes)
        lines.append(f"{names}: the loss itself changes, so look at the images, not at the numbers")
    lines += [axis.remark for axis in plan.axes if axis.remark]
    unfinished = len(plan.jobs) - len(results)
    if stopped:
        lines.append(f"{STOPPED} in run {len(results)} of {len(plan.jobs)}; {unfinished} not run")
    return lines + list(dict.fromkeys(line for result in results for line in result.remarks))


def _draw(plan: Plan, results: Sequence[Result], running: Tensor | None, width: int) -> Image.Image:
    best = _best(plan, results) if running is None else None
    tiles = []
    for run in range(len(plan.jobs)):
        label = _label(plan.columns, plan.texts(run)[0]) if plan.rows is None else ""
        if run < len(results):
            caption = _caption(results[run]) if running is None else ""
            tiles.append(Tile(preview(results[run].images), label, caption, run == best))
        elif running is None:
            tiles.append(Tile(None, label, "not run"))
        else:
            tiles.append(Tile(preview(running) if run == len(results) else None, label))
    columns = len(plan.columns.texts)
    if plan.rows is None:
        columns = _columns(columns)
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    if plan.rows is None:
        return draw_grid(rows, width=width)
    across, down = (
        [_label(axis, text) for text in axis.texts] for axis in (plan.columns, plan.rows)
    )
    return draw_grid(rows, across=across, down=down, width=width)


def _caption(result: Result) -> str:
    steps = f", {result.steps} of {result.planned} steps" if result.early else ""
    return f"loss {number(result.loss)}{steps}"


def _columns(count: int) -> int:
    """Tiles in a row when there is only one setting: all of them, or nearly a square."""
    return count if count <= MOST_IN_A_ROW else math.ceil(math.sqrt(count))


def _label(axis: Axis, text: str) -> str:
    return text if axis.name == "prompt" else f"{axis.name} {text}"


def _best(plan: Plan, results: Sequence[Result]) -> int | None:
    """The run with the lowest loss; None where losses cannot be compared, or with one alone."""
    losses = [result.loss if math.isfinite(result.loss) else math.inf for result in results]
    if not plan.same_loss or len(losses) < 2 or min(losses) == math.inf:
        return None
    return losses.index(min(losses))
