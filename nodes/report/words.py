"""Numbers, tables and cut texts, as all nodes write them."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_right
from collections.abc import Callable, Sequence

DOTS = "..."  # in place of what was cut off

Length = Callable[[str], float]  # of a text: its letters (len), or its pixels in a font


def number(value: float | None) -> str:
    """A figure of any size, such as a loss: with 3 decimals, or with 3 digits and an exponent where
    it is very small or large; empty for None."""
    if value is None:
        return ""
    return f"{value:.3f}" if 0.01 <= abs(value) < 1e5 or not value else f"{value:.2e}"


def short_number(value: float) -> str:
    """A label with 2 significant digits, such as 0.35 or 0.012."""
    return f"{value:.2g}"


def tick_number(value: float, step: float) -> str:
    """A number on an axis with a tick every `step`, with the decimals that all its ticks need."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step, decimals) != round(step, decimals + 1):  # 0.25
        decimals += 1
    plain = abs(value) < 1e6 and (decimals < 6 or abs(value) >= 0.001)
    return f"{value:.{decimals}f}" if plain else f"{value:.1e}"


def percent(share: float) -> str:
    """A share from 0 to 1, such as "40 %"."""
    return f"{100 * share:.0f} %"


def mean(values: Sequence[float | None], digits: str = ".4g") -> str:
    """The mean of the values that are numbers, as text."""
    numbers = [value for value in values if value is not None]
    return format(statistics.fmean(numbers), digits) if numbers else "not a number"


def counted(count: int, noun: str) -> str:
    """Such as "1 image" or "3 images"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def cut(text: str, width: float, length: Length = len, *, always: bool = False) -> str:
    """The text if it is no longer than `width`, otherwise its start and dots.

    Args:
        always: with dots even if it fits, because more follows.
    """
    if not always and length(text) <= width:
        return text
    ends = range(1, len(text) + 1)
    kept = bisect_right(ends, width, key=lambda end: length(text[:end] + DOTS))
    return text[:kept].rstrip() + DOTS


def wrapped(text: str, width: float, length: Length, most: int) -> list[str]:
    """The text in lines of at most `width`, cut after `most` lines."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and length(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    kept = [cut(line, width, length) for line in lines[:most]]
    if len(lines) > most:
        kept[-1] = cut(f"{lines[most - 1]} {lines[most]}", width, length, always=True)
    return kept


def plain_table(rows: Sequence[Sequence[str]], *, right: bool = False) -> str:
    """Columns of plain text, to the left or to the right; the first row is the head."""
    return "\n".join("  ".join(row).rstrip() for row in _padded(rows, right))


def markdown_table(rows: Sequence[Sequence[str]], *, right: bool = False) -> str:
    """A Markdown table that reads well as plain text too; the first row is the head."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    padded = _padded(cells, right)
    rule = "|".join("-" * (len(cell) + 1) + (":" if right else "-") for cell in padded[0])
    head, *body = ["| " + " | ".join(row) + " |" for row in padded]
    return "\n".join([head, f"|{rule}|", *body])


def _padded(rows: Sequence[Sequence[str]], right: bool) -> list[list[str]]:
    """The rows with cells of one width in each column."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    pad = str.rjust if right else str.ljust
    return [[pad(cell, width) for cell, width in zip(row, widths, strict=True)] for row in rows]
