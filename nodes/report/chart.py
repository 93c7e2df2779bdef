"""The loss chart: one panel for the total and one for each term, drawn with PIL alone.

Terms differ in size by orders of magnitude, so each has its own scale. No ComfyUI and no torch:
lists in, an image out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from .axes import Area, across_page, draw_head, draw_scale, round_ticks, start_page
from .drawing import COLOURS, FAINT, Canvas, Colour, Point
from .words import number

Curve = Sequence[Sequence[float]]  # one number per image, for each step

TOTAL_COLOUR = (240, 240, 236)
HEIGHT, TOTAL_HEIGHT, SMALL_HEIGHT = 250, 210, 132  # of a panel: alone, the total, each term
MOST_PANELS = 8
SMOOTHING = 0.08  # of the steps: the window of the bold line
THIN_LINES = 12  # with more images than that, a band from lowest to highest takes their place


@dataclass(frozen=True)
class Panel:
    """A part of the chart with a scale of its own.

    Args:
        name: shown above it.
        curve: (steps, images).
    """

    name: str
    curve: Curve
    colour: Colour
    height: int


def draw_chart(
    curves: Mapping[str, Curve],
    *,
    beside: Mapping[str, Curve] | None = None,
    title: str = "",
    ends: Sequence[int | None] = (),
) -> Image.Image:
    """All curves over the steps, as an image; the total comes first if there are several.

    Args:
        curves: name -> numbers (steps, images). A number that is not finite leaves a gap.
        beside: more of them that are no part of the total, such as the regularizer.
        title: one line above.
        ends: index of the last step of each image that stopped early, None of the others; marked by
            a dot.

    Raises:
        ValueError: there is no curve, or one without a step.
    """
    panels = _panels(curves, beside or {})
    steps, images = len(panels[0].curve), len(panels[0].curve[0])
    foot = f"loss, lower is better; {_legend(images, any(end is not None for end in ends))}"
    heights = [panel.height for panel in panels]
    canvas, tops = start_page(heights, title=title, foot=foot, axis="step")
    for panel, top in zip(panels, tops, strict=True):
        _draw_panel(canvas, panel, top, ends)
    _draw_steps(canvas, tops[-1] + heights[-1], steps)
    return canvas.finish()


def _panels(curves: Mapping[str, Curve], beside: Mapping[str, Curve]) -> list[Panel]:
    everything = {**curves, **beside}
    if not curves or not all(len(curve) and len(curve[0]) for curve in everything.values()):
        raise ValueError("the chart has no curve: expected at least one step of one image.")
    shown = list(everything.items())[: MOST_PANELS - 1]
    panels = [
        Panel(name, curve, COLOURS[i % len(COLOURS)], SMALL_HEIGHT)
        for i, (name, curve) in enumerate(shown)
    ]
    if len(curves) == 1:
        return [replace(panels[0], height=HEIGHT), *panels[1:]]
    total = [
        [sum(terms) for terms in zip(*step, strict=True)]
        for step in zip(*curves.values(), strict=True)
    ]
    rest = len(everything) - len(shown)
    name = f"total (and {rest} more curves, not drawn)" if rest else "total"
    return [Panel(name, total, TOTAL_COLOUR, TOTAL_HEIGHT), *panels]


def _draw_panel(canvas: Canvas, panel: Panel, top: int, ends: Sequence[int | None]) -> None:
    """Head line, grid with numbers, and the lines of one panel."""
    steps, images = len(panel.curve), len(panel.curve[0])
    columns = [[row[k] for row in panel.curve] for k in range(images)]
    means = [_mean(row) for row in zip(*map(_filled, columns), strict=True)]
    area = Area(top, top + panel.height, *_range([v for column in columns for v in column]))
    most = 5 if panel.height > SMALL_HEIGHT else 3
    draw_scale(canvas, area, round_ticks(area.low, area.high, most))
    finite = [value for value in means if math.isfinite(value)]
    change = f"{number(finite[0])} to {number(finite[-1])}" if finite else ""
    draw_head(canvas, area, panel.name, panel.colour, change)
    if images > THIN_LINES:
        _draw_band(canvas, panel, area)
    else:
        for column in columns:
            canvas.curve(_points(area, column), (*panel.colour, 120), 1.2)
    canvas.curve(_points(area, _smooth(means)), (*panel.colour, 255), 2.4)
    for column, end in zip(columns, ends, strict=False):
        if end is not None and math.isfinite(column[end]):
            canvas.dot(area.point(_across(end, steps), column[end]), panel.colour, 4)


def _draw_band(canvas: Canvas, panel: Panel, area: Area) -> None:
    """The range from the lowest to the highest image, over all steps that have a number."""
    finite = [[value for value in row if math.isfinite(value)] for row in panel.curve]
    upper = _points(area, [max(row, default=math.nan) for row in finite])
    lower = _points(area, [min(row, default=math.nan) for row in finite])
    corners = [point for point in upper + lower[::-1] if math.isfinite(point[1])]
    if len(corners) > 2:
        canvas.area(corners, (*panel.colour, 60))


def _points(area: Area, values: Sequence[float]) -> list[Point]:
    """The places of one value for each step."""
    return [area.point(_across(i, len(values)), value) for i, value in enumerate(values)]


def _across(step: float, steps: int) -> float:
    """Where a step is, from 0 at the left to 1 at the right; one alone in the middle."""
    return step / (steps - 1) if steps > 1 else 0.5


def _draw_steps(canvas: Canvas, bottom: int, steps: int) -> None:
    """The numbers of the steps under the lowest panel; the first step is 1."""
    room = (steps - 1) * 0.05
    inner = [t for t in round_ticks(1, steps, 8) if t == int(t) and 1 + room < t < steps - room]
    for tick in dict.fromkeys([1, *map(int, inner), steps]):
        x = across_page(_across(tick - 1, steps))
        canvas.line([(x, bottom), (x, bottom + 4)], FAINT, 1)
        canvas.text((x, bottom + 12), str(tick), 12, FAINT, "mm")


def _legend(images: int, stopped: bool) -> str:
    dots = "; a dot: this image stopped" if stopped else ""
    if images == 1:
        return f"thin: every step, bold: smoothed{dots}"
    if images > THIN_LINES:
        return f"band: lowest to highest of {images} images, bold: their mean, smoothed{dots}"
    return f"thin: each of {images} images, bold: their mean, smoothed{dots}"


def _range(values: list[float]) -> tuple[float, float]:
    """The scale's ends: all finite numbers and a little air."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    air = 0.06 * (high - low) or max(abs(low) * 0.05, 1e-6)
    return low - air, high + air


def _filled(column: list[float]) -> list[float]:
    """The column with its last number in place of a gap at its end: that image has stopped, and its
    leaving must not look like a jump of the mean."""
    end = len(column)
    while end and not math.isfinite(column[end - 1]):
        end -= 1
    return column[:end] + [column[end - 1]] * (len(column) - end) if end else column


def _mean(row: Sequence[float]) -> float:
    finite = [value for value in row if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan


def _smooth(values: list[float]) -> list[float]:
    """Means over a window around each value, narrower at both ends, so that nothing lags behind;
    taken twice, which turns the corners that a jump leaves into curves."""
    reach = round(SMOOTHING * len(values) / 3)
    for _ in range(2):
        values = [_mean_around(values, i, reach) for i in range(len(values))]
    return values


def _mean_around(values: list[float], i: int, reach: int) -> float:
    near = min(reach, i, len(values) - 1 - i)
    return _mean(values[i - near : i + near + 1]) if math.isfinite(values[i]) else math.nan
