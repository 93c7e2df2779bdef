"""The loss chart: one panel for the total and one for each term, drawn with PIL alone.

Terms differ in size by orders of magnitude, so each has its own scale. Lines are drawn twice as
large and reduced, which makes them smooth. No ComfyUI and no torch: lists in, picture out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from .pen import Pen

Curve = Sequence[Sequence[float]]  # one number per image, for each step

WIDTH = 832
PAPER, GRID, TEXT, FAINT = (37, 39, 43), (62, 65, 71), (232, 232, 228), (165, 167, 170)
# The palette of Okabe and Ito, which colour-blind people can tell apart; lightened for a dark page.
TOTAL_COLOUR = (240, 240, 236)
COLOURS = (
    (86, 180, 233),
    (240, 170, 40),
    (40, 196, 148),
    (255, 128, 80),
    (214, 136, 180),
    (240, 228, 90),
)
LEFT, RIGHT, TOP, FOOT = 76, 22, 44, 46
PANEL, SMALL_PANEL, HEAD, GAP = 250, 132, 26, 16
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
    colour: tuple[int, int, int]
    height: int


def draw_chart(
    curves: Mapping[str, Curve],
    *,
    beside: Mapping[str, Curve] | None = None,
    title: str = "",
    ends: Sequence[int | None] = (),
    first_step: int = 0,
) -> Image.Image:
    """A picture of all curves over the steps; the total comes first if there are several.

    Args:
        curves: name -> numbers (steps, images). A number that is not finite leaves a gap.
        beside: more of them that are no part of the total, such as the regularizer.
        title: one line above.
        ends: step after which each image stopped early, None where it did not; marked by a dot.
        first_step: number of the first step, above 0 when a run goes on where another ended.

    Raises:
        ValueError: there is no curve, or one without a step.
    """
    panels = _panels(curves, beside or {})
    height = TOP + FOOT + sum(panel.height + HEAD for panel in panels) + GAP * (len(panels) - 1)
    pen = Pen(WIDTH, height, PAPER)
    pen.text((LEFT, 22), title, 17, TEXT, "lm", WIDTH - LEFT - RIGHT)
    steps = len(panels[0].curve)
    top = TOP
    for panel in panels:
        _draw_panel(pen, panel, top, ends, first_step)
        top += HEAD + panel.height + GAP
    _draw_steps(pen, top - GAP, steps, first_step)
    images = len(panels[0].curve[0])
    legend = _legend(images, any(end is not None for end in ends))
    pen.text((LEFT, height - 14), f"lower is better; {legend}", 12, FAINT, "lm", WIDTH - 150)
    return pen.finish()


def _panels(curves: Mapping[str, Curve], beside: Mapping[str, Curve]) -> list[Panel]:
    everything = {**curves, **beside}
    if not curves or not all(len(curve) and len(curve[0]) for curve in everything.values()):
        raise ValueError("the chart has no curve: expected at least one step of one image.")
    shown = list(everything.items())[: MOST_PANELS - 1]
    heights = [SMALL_PANEL] * len(shown)
    panels = []
    if len(curves) == 1:
        heights[0] = PANEL
    else:
        total = [
            [sum(parts) for parts in zip(*step, strict=True)]
            for step in zip(*curves.values(), strict=True)
        ]
        rest = len(everything) - len(shown)
        name = "total" + (f" (and {rest} more curves, not drawn)" if rest else "")
        panels.append(Panel(name, total, TOTAL_COLOUR, PANEL - 40))
    for i, ((name, curve), height) in enumerate(zip(shown, heights, strict=True)):
        panels.append(Panel(name, curve, COLOURS[i % len(COLOURS)], height))
    return panels


def _draw_panel(
    pen: Pen, panel: Panel, top: int, ends: Sequence[int | None], first_step: int
) -> None:
    """Head line, grid with numbers, and the lines of one panel whose head starts at `top`."""
    steps, images = len(panel.curve), len(panel.curve[0])
    columns = [[row[k] for row in panel.curve] for k in range(images)]
    means = [_mean(row) for row in zip(*map(_filled, columns), strict=True)]
    low, high = _range([value for column in columns for value in column])
    ticks = _ticks(low, high, 5 if panel.height > SMALL_PANEL else 3)
    frame = (LEFT, top + HEAD, WIDTH - RIGHT, top + HEAD + panel.height)

    def place(step: float, value: float) -> tuple[float, float]:
        across = 0.5 if steps == 1 else step / (steps - 1)
        up = (value - low) / (high - low)
        return frame[0] + across * (frame[2] - frame[0]), frame[3] - up * (frame[3] - frame[1])

    for tick in ticks:
        y = place(0, tick)[1]
        pen.line([(frame[0], y), (frame[2], y)], GRID, 1)
        pen.text((LEFT - 8, y), _number(tick, ticks), 12, FAINT, "rm")
    pen.text((20, (frame[1] + frame[3]) / 2), "loss", 12, FAINT, "mm", turned=True)
    pen.text((LEFT, top + 11), panel.name, 14, panel.colour, "lm", (WIDTH - LEFT) * 2 // 3)
    finite = [value for value in means if math.isfinite(value)]
    if finite:
        change = f"{_short(finite[0])} to {_short(finite[-1])}"
        pen.text((WIDTH - RIGHT, top + 11), change, 13, TEXT, "rm")
    if images > THIN_LINES:
        _draw_band(pen, panel, place)
    else:
        for column in columns:
            pen.curve([place(i, v) for i, v in enumerate(column)], (*panel.colour, 120), 1.2)
    pen.curve([place(i, v) for i, v in enumerate(_smooth(means))], (*panel.colour, 255), 2.4)
    for column, end in zip(columns, ends, strict=False):
        last = None if end is None else end - first_step
        if last is not None and 0 <= last < steps and math.isfinite(column[last]):
            pen.dot(place(last, column[last]), panel.colour, 4)


def _draw_band(pen: Pen, panel: Panel, place) -> None:
    finite = [[v for v in row if math.isfinite(v)] for row in panel.curve]
    upper = [place(i, max(row)) for i, row in enumerate(finite) if row]
    lower = [place(i, min(row)) for i, row in enumerate(finite) if row]
    if len(upper) > 1:
        pen.area(upper + lower[::-1], (*panel.colour, 60))


def _draw_steps(pen: Pen, bottom: int, steps: int, first: int) -> None:
    """The numbers of the steps under the lowest panel; the first step is 1."""
    low, high = first + 1, first + steps
    inner = [int(t) for t in _ticks(low, high, 8) if t == int(t) and low < t < high]
    room = (high - low) * 0.05
    shown = [low, *(t for t in inner if low + room < t < high - room), high]
    for tick in dict.fromkeys(shown):
        across = 0.5 if steps == 1 else (tick - low) / (steps - 1)
        x = LEFT + across * (WIDTH - LEFT - RIGHT)
        pen.line([(x, bottom), (x, bottom + 4)], FAINT, 1)
        pen.text((x, bottom + 12), str(tick), 12, FAINT, "mm")
    pen.text((WIDTH - RIGHT, bottom + 31), "step", 12, FAINT, "rm")


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


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from `low` to `high`, at most `most` of them where possible."""
    span = high - low
    if span <= 0:
        return [low]
    unit = 10 ** math.floor(math.log10(span / most))
    step = next(unit * k for k in (1, 2, 5, 10, 20, 50) if span / (unit * k) <= most)
    first = math.ceil(low / step)
    return [k * step for k in range(first, math.floor(high / step) + 1)]


def _number(value: float, ticks: list[float]) -> str:
    step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(value) or 1
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{places}f}" if places < 7 and abs(value) < 1e6 else f"{value:.1e}"


def _short(value: float) -> str:
    return f"{value:.3f}" if 0.01 <= abs(value) < 1e5 or not value else f"{value:.2e}"


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
