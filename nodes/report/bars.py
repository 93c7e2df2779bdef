"""Bar charts over token positions, drawn with PIL alone: numbers in, picture out."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from PIL import Image

from .chart import COLOURS, FAINT, GRID, LEFT, PAPER, RIGHT, TEXT, WIDTH
from .pen import Pen

BEST = (64, 214, 164)
TOP, FOOT, HEAD, GAP, HEIGHT = 50, 52, 28, 20, 150
MOST_NUMBERS = 40  # positions with a number of their own under the axis
MOST_VALUES = 3  # bars that have their value above them


@dataclass(frozen=True)
class Bars:
    """One panel.

    Args:
        name: what the bars are, shown above them.
        values: one for each position, finite.
        line: a dashed line at this value, explained by `line_name`.
        percent: shares, shown as percent.
    """

    name: str
    values: Sequence[float]
    line: float | None = None
    line_name: str = ""
    percent: bool = False


def draw_bars(
    panels: Sequence[Bars], *, title: str = "", foot: str = "", marked: Collection[int] = ()
) -> Image.Image:
    """All panels, one above the other, over the same positions.

    Args:
        title: one line above; `foot` one below.
        marked: positions whose bars stand out.

    Raises:
        ValueError: there is no panel, or one without values.
    """
    if not panels or not all(panel.values for panel in panels):
        raise ValueError("the chart has no bars: expected at least one position.")
    height = TOP + FOOT + len(panels) * (HEAD + HEIGHT) + (len(panels) - 1) * GAP
    pen = Pen(WIDTH, height, PAPER)
    pen.text((LEFT, 24), title, 17, TEXT, "lm", WIDTH - LEFT - RIGHT)
    for k, panel in enumerate(panels):
        colour = COLOURS[k % 2]
        _draw_panel(pen, panel, TOP + k * (HEAD + HEIGHT + GAP), colour, marked)
    bottom = height - FOOT
    _draw_positions(pen, bottom, len(panels[0].values), marked)
    pen.text((LEFT, height - 15), foot, 12, FAINT, "lm", WIDTH - LEFT - 100)
    pen.text((WIDTH - RIGHT, height - 15), "position", 12, FAINT, "rm")
    return pen.finish()


def _draw_panel(
    pen: Pen, panel: Bars, top: int, colour: tuple[int, int, int], marked: Collection[int]
) -> None:
    ticks = _ticks(panel)
    low, high, bottom = ticks[0], ticks[-1], top + HEAD + HEIGHT

    def level(value: float) -> float:
        return bottom - (value - low) / (high - low) * HEIGHT

    for tick in ticks:
        pen.line([(LEFT, level(tick)), (WIDTH - RIGHT, level(tick))], GRID, 1)
        pen.text((LEFT - 8, level(tick)), _number(tick, panel.percent), 12, FAINT, "rm")
    pen.text((LEFT, top + 13), panel.name, 14, colour, "lm", WIDTH - LEFT - RIGHT)
    highest = sorted(range(len(panel.values)), key=lambda k: -panel.values[k])[:MOST_VALUES]
    for k, value in enumerate(panel.values):
        left, right = _slot(k, len(panel.values))
        area = [(left, level(0)), (left, level(value)), (right, level(value)), (right, level(0))]
        pen.area(area, BEST if k in marked else (*colour, 190))
        if k in highest and right - left >= 10 and value > 0:
            place = ((left + right) / 2, max(level(value) - 9, top + HEAD + 6))
            pen.text(place, _number(value, panel.percent), 11, TEXT, "mm")
    if panel.line is not None and panel.line <= high:
        y = level(panel.line)
        for x in range(LEFT, WIDTH - RIGHT, 12):
            pen.line([(x, y), (min(x + 6, WIDTH - RIGHT), y)], TEXT, 1)
        pen.text((WIDTH - RIGHT, top + 13), f"dashed: {panel.line_name}", 12, FAINT, "rm")


def _ticks(panel: Bars) -> list[float]:
    """Four or five round numbers around 0 and all values."""
    low = min(0.0, *panel.values)
    high = max(*panel.values, panel.line or 0.0, 0.1 if panel.percent else 1e-6)
    unit = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(unit * k for k in (1, 2, 2.5, 5, 10, 20) if (high - low) / (unit * k) <= 4)
    return [k * step for k in range(math.floor(low / step), math.ceil(high / step - 1e-9) + 1)]


def _draw_positions(pen: Pen, bottom: int, count: int, marked: Collection[int]) -> None:
    every = next(n for n in (1, 2, 4, 8, 16, 32, 64, 128) if count / n <= MOST_NUMBERS)
    for k in range(count):
        left, right = _slot(k, count)
        if k in marked or (k % every == 0 and not any(0 < abs(k - m) < every for m in marked)):
            colour = BEST if k in marked else FAINT
            pen.text(((left + right) / 2, bottom + 11), str(k), 12, colour, "mm")


def _slot(k: int, count: int) -> tuple[float, float]:
    """Left and right edge of the bar of position k."""
    width = (WIDTH - LEFT - RIGHT) / count
    return LEFT + (k + 0.14) * width, LEFT + (k + 0.86) * width


def _number(value: float, percent: bool) -> str:
    if percent:
        return f"{100 * value:.0f} %"
    if abs(value) < 1e-9:
        return "0"
    places = max(2, 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(places, 5)}f}"


__all__ = ["BEST", "Bars", "draw_bars"]
