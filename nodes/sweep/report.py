"""What a sweep shows: the labelled grid, the table of scores, and a few sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..host.images import preview
from ..host.stop import STOPPED
from ..report.sheet import Tile, draw_grid
from .plan import Plan
from .run import Result

TILE, WIDE_TILE, SMALL_TILE = 256, 512, 112  # one image, several side by side, while it runs
MOST_IN_A_ROW = 6


def grid(plan: Plan, results: Sequence[Result]) -> Tensor:
    """The picture of all runs as an image (1, 3, h, w) in [0, 1]."""
    images = results[0].images
    width = WIDE_TILE if len(images) > 1 else max(TILE, min(WIDE_TILE, images.shape[-1]))
    picture = _draw(plan, results, None, width)
    pixels = torch.from_numpy(np.asarray(picture).copy())  # (h, w, 3)
    return pixels.movedim(2, 0)[None].float() / 255


def live_grid(plan: Plan, results: Sequence[Result], running: Tensor) -> Image.Image:
    """A small picture of the sweep so far; `running` are the images of the run under way."""
    return _draw(plan, results, running, SMALL_TILE * (2 if len(running) > 1 else 1))


def table(plan: Plan, results: Sequence[Result]) -> str:
    """One line for each run: its values, final loss, terms, steps and time (Markdown).

    The lowest loss is bold if the losses can be compared.
    """
    names = list(dict.fromkeys(name for result in results for name in result.terms))
    head = [axis.name for axis in plan.axes] + ["loss", *names, "steps", "seconds"]
    best = _best(plan, results)
    rows = []
    for number in range(len(plan.jobs)):
        row = list(plan.texts(number))
        if number < len(results):
            result = results[number]
            loss = _number(result.loss)
            row.append(f"**{loss}**" if number == best else loss)
            row += [_number(result.terms.get(name)) for name in names]
            made = str(result.steps)
            row.append(f"{made} of {result.planned}" if result.early else made)
            row.append(f"{result.seconds:.1f}")
        else:
            row += ["not run"] + [""] * (len(names) + 2)
        rows.append(row)
    return _markdown(head, rows)


def notes(plan: Plan, results: Sequence[Result], stopped: bool) -> list[str]:
    """Sentences for the user: how to read the table, what is missing, what the losses remark."""
    found = ["loss and terms: of the images shown, weights included; lower is better"]
    if not plan.same_loss:
        names = " and ".join(axis.name for axis in plan.axes)
        found.append(f"{names}: the loss itself changes, so look at the images, not at the numbers")
    found += [axis.remark for axis in plan.axes if axis.remark]
    unfinished = len(plan.jobs) - len(results)
    if stopped:
        found.append(f"{STOPPED} in run {len(results)} of {len(plan.jobs)}; {unfinished} not run")
    return found + list(dict.fromkeys(line for result in results for line in result.remarks))


def _draw(plan: Plan, results: Sequence[Result], running: Tensor | None, width: int) -> Image.Image:
    best = _best(plan, results) if running is None else None
    tiles = []
    for number in range(len(plan.jobs)):
        label = _label(plan, number) if plan.rows is None else ""
        if number < len(results):
            result = results[number]
            caption = f"loss {_number(result.loss)}"
            if result.early:
                caption += f", {result.steps} of {result.planned} steps"
            if running is not None:
                caption = ""
            tiles.append(Tile(preview(result.images), label, caption, number == best))
        elif number == len(results) and running is not None:
            tiles.append(Tile(preview(running), label))
        else:
            tiles.append(Tile(None, label, "" if running is not None else "not run"))
    columns = len(plan.columns.texts)
    if plan.rows is None:
        columns = _columns(columns)
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    if plan.rows is None:
        return draw_grid(rows, width=width)
    across, down = (
        [_words(axis.name, text) for text in axis.texts] for axis in (plan.columns, plan.rows)
    )
    return draw_grid(rows, across=across, down=down, width=width)


def _columns(count: int) -> int:
    """Tiles in a row when there is only one setting: all of them, or nearly a square."""
    return count if count <= MOST_IN_A_ROW else math.ceil(math.sqrt(count))


def _label(plan: Plan, number: int) -> str:
    return _words(plan.columns.name, plan.texts(number)[0])


def _words(name: str, text: str) -> str:
    return text if name == "prompt" else f"{name} {text}"


def _best(plan: Plan, results: Sequence[Result]) -> int | None:
    """The run with the lowest loss; None where losses cannot be compared, or with one alone."""
    losses = [result.loss if math.isfinite(result.loss) else math.inf for result in results]
    if not plan.same_loss or len(losses) < 2 or min(losses) == math.inf:
        return None
    return losses.index(min(losses))


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if not math.isfinite(value):
        return "nan"
    return f"{value:.3f}" if abs(value) >= 0.01 or not value else f"{value:.2e}"


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table that also reads well as plain text."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
