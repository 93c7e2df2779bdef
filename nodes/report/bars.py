"""Bar charts over token positions, drawn with PIL alone: numbers in, an image out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from PIL import Image

from .axes import (
    LEFT,
    RIGHT,
    WIDTH,
    Area,
    across_page,
    draw_head,
    draw_scale,
    round_ticks,
    start_page,
)
from .drawing import BEST, COLOURS, FAINT, TEXT, Canvas, Colour
from .words import percent, short_number

HEIGHT = 150
TICKS = 4
MOST_NUMBERS = 40  # positions with a number of their own under the axis
MOST_VALUES = 3  # bars that have their value above them
NARROWEST = 10  # pixels of a bar with its value above it
VALUE_ROOM = 34  # pixels from one of these values to the next
DASH = 6  # pixels


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
    heights = [HEIGHT] * len(panels)
    canvas, tops = start_page(heights, title=title, foot=foot, axis="position")
    for k, (panel, top) in enumerate(zip(panels, tops, strict=True)):
        _draw_panel(canvas, panel, top, COLOURS[k % 2], marked)
    _draw_positions(canvas, tops[-1] + HEIGHT, len(panels[0].values), marked)
    return canvas.finish()


def _draw_panel(
    canvas: Canvas, panel: Bars, top: int, colour: Colour, marked: Collection[int]
) -> None:
    ticks = _ticks(panel)
    area = Area(top, top + HEIGHT, ticks[0], ticks[-1])
    has_line = panel.line is not None and panel.line <= area.high
    draw_scale(canvas, area, ticks, as_percent=panel.percent)
    draw_head(canvas, area, panel.name, colour, f"dashed: {panel.line_name}" if has_line else "")
    shown = labelled(panel.values)
    zero = area.point(0, 0)[1]
    for k, value in enumerate(panel.values):
        left, right = bar_edges(k, len(panel.values))
        y = area.point(0, value)[1]
        corners = [(left, zero), (left, y), (right, y), (right, zero)]
        canvas.area(corners, BEST if k in marked else (*colour, 190))
        if k in shown and right - left >= NARROWEST:
            text = percent(value) if panel.percent else short_number(value)
            canvas.text(((left + right) / 2, max(y - 9, top + 6)), text, 11, TEXT, "mm")
    if has_line:
        y = area.point(0, panel.line)[1]
        for x in range(LEFT, WIDTH - RIGHT, 2 * DASH):
            canvas.line([(x, y), (min(x + DASH, WIDTH - RIGHT), y)], TEXT, 1)


def _ticks(panel: Bars) -> list[float]:
    """Round numbers around 0 and all values."""
    low = min(0.0, *panel.values)
    high = max(*panel.values, panel.line or 0.0, 0.1 if panel.percent else 1e-6)
    return round_ticks(low, high, TICKS, around=True)


def labelled(values: Sequence[float]) -> list[int]:
    """Positions of the highest bars, those left out whose values would run into another's."""
    positions: list[int] = []
    apart = VALUE_ROOM * len(values) / (WIDTH - LEFT - RIGHT)
    for k in sorted(range(len(values)), key=lambda k: -values[k]):
        if values[k] > 0 and all(abs(k - other) >= apart for other in positions):
            positions.append(k)
    return positions[:MOST_VALUES]


def _draw_positions(canvas: Canvas, bottom: int, count: int, marked: Collection[int]) -> None:
    """Numbers under the bars: all of them, or every second, fourth, ... and those marked."""
    every = next(n for n in (1, 2, 4, 8, 16, 32, 64, 128) if count / n <= MOST_NUMBERS)
    for k in range(count):
        left, right = bar_edges(k, count)
        if k in marked or (k % every == 0 and not any(0 < abs(k - m) < every for m in marked)):
            colour = BEST if k in marked else FAINT
            canvas.text(((left + right) / 2, bottom + 11), str(k), 12, colour, "mm")


def bar_edges(k: int, count: int) -> tuple[float, float]:
    """Left and right edge of the bar of position k."""
    return across_page((k + 0.14) / count), across_page((k + 0.86) / count)
