"""Pages of panels one above the other: title and foot, each panel's scale, grid and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .drawing import FAINT, GRID, TEXT, Canvas, Colour, Point
from .words import tick_number

WIDTH = 832
LEFT, RIGHT, TOP, FOOT = 76, 22, 44, 46  # margins of the page
HEAD, GAP = 26, 16  # a panel's head line above it; between a panel and the next head line
STEPS = (1, 2, 2.5, 5, 10)  # between two ticks, times a power of ten
SPACE = 12  # between two texts of a line


@dataclass(frozen=True)
class Area:
    """Where a panel's values are drawn: `low` at the `bottom`, `high` at the `top`."""

    top: float
    bottom: float
    low: float
    high: float

    def point(self, across: float, value: float) -> Point:
        """The place of a value; `across` is from 0 at the left to 1 at the right."""
        share = (value - self.low) / (self.high - self.low)
        return across_page(across), self.bottom - share * (self.bottom - self.top)


def across_page(share: float) -> float:
    """The x of a share of the panels' width, from 0 at the left to 1 at the right."""
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def start_page(
    heights: Sequence[int], *, title: str, foot: str, axis: str
) -> tuple[Canvas, list[int]]:
    """A page for panels of these heights, and the top of each panel.

    Args:
        title: one line above; `foot` one below.
        axis: what lies along the panels, such as "step".
    """
    height = TOP + FOOT + sum(heights) + HEAD * len(heights) + GAP * (len(heights) - 1)
    canvas = Canvas(WIDTH, height)
    canvas.text((LEFT, TOP / 2), title, 17, TEXT, "lm", WIDTH - LEFT - RIGHT)
    taken = canvas.text((WIDTH - RIGHT, height - 15), axis, 12, FAINT, "rm")
    canvas.text((LEFT, height - 15), foot, 12, FAINT, "lm", WIDTH - LEFT - RIGHT - taken - SPACE)
    tops = [TOP + HEAD]
    for above in heights[:-1]:
        tops.append(tops[-1] + above + GAP + HEAD)
    return canvas, tops


def draw_scale(
    canvas: Canvas, area: Area, ticks: Sequence[float], *, as_percent: bool = False
) -> None:
    """The grid lines of a panel and their numbers."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(ticks[0]) or 1
    for tick in ticks:
        y = area.point(0, tick)[1]
        canvas.line([(LEFT, y), (WIDTH - RIGHT, y)], GRID, 1)
        text = tick_number(100 * tick, 100 * step) + " %" if as_percent else tick_number(tick, step)
        canvas.text((LEFT - 8, y), text, 12, FAINT, "rm")


def draw_head(canvas: Canvas, area: Area, name: str, colour: Colour, remark: str) -> None:
    """A panel's name at the left, as far as the remark at the right leaves room."""
    y = area.top - HEAD / 2 - 2
    taken = canvas.text((WIDTH - RIGHT, y), remark, 13, TEXT, "rm")
    canvas.text((LEFT, y), name, 14, colour, "lm", WIDTH - LEFT - RIGHT - taken - SPACE)


def round_ticks(low: float, high: float, most: int, *, around: bool = False) -> list[float]:
    """Round numbers from `low` to `high`, about `most` of them.

    Args:
        around: from the round number below `low` to the one above `high`.
    """
    if high <= low:
        return [low]
    unit = 10 ** math.floor(math.log10((high - low) / most))
    step = next((unit * k for k in STEPS if (high - low) / (unit * k) <= most), unit * 20)
    first, last = low / step, high / step
    if around:
        return [k * step for k in range(math.floor(first), math.ceil(last - 1e-9) + 1)]
    return [k * step for k in range(math.ceil(first), math.floor(last) + 1)]
