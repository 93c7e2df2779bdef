"""Shares and means with their 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z = 1.959964  # two-sided 95 % of the normal distribution


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval (low, high) of a share (Wilson, 1927).

    Raises:
        ValueError: no trial, or more hits than trials.
    """
    if n < 1 or not 0 <= hits <= n:
        raise ValueError(f"{hits} hits of {n} trials: expected 0 to n hits of 1 or more trials.")
    share, z2 = hits / n, Z * Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def gap(flags: Sequence[bool], others: Sequence[bool]) -> tuple[float, float, float]:
    """The difference of two shares of the same cases and its 95 % interval: (gap, low, high).

    Newcombe's hybrid of two Wilson intervals for pairs (Newcombe, 1998, paired data, method 10):
    what the two have in common narrows it.

    Raises:
        ValueError: the two are not of the same cases.
    """
    n, hits, other_hits = len(flags), sum(map(bool, flags)), sum(map(bool, others))
    if n != len(others):
        raise ValueError(f"{n} and {len(others)} cases: expected the same ones.")
    first, second = hits / n, other_hits / n
    low, high = wilson(hits, n)
    other_low, other_high = wilson(other_hits, n)
    both = sum(bool(a) and bool(b) for a, b in zip(flags, others, strict=True))
    spread = math.sqrt(hits * (n - hits) * other_hits * (n - other_hits))
    shared = (n * both - hits * other_hits) / spread if spread else 0.0  # correlation, -1 to 1
    below = _side(first - low, other_high - second, shared)
    above = _side(high - first, second - other_low, shared)
    return first - second, first - second - below, first - second + above


def _side(own: float, other: float, shared: float) -> float:
    return math.sqrt(max(0.0, own * own - 2 * shared * own * other + other * other))


def mean(values: Sequence[float]) -> tuple[float, float]:
    """The mean and half the width of its 95 % interval (normal approximation; 0 for one value)."""
    n = len(values)
    average = sum(values) / n
    if n < 2:
        return average, 0.0
    variance = sum((value - average) ** 2 for value in values) / (n - 1)
    return average, Z * math.sqrt(variance / n)


def share_text(flags: Sequence[bool]) -> str:
    """Percent with Wilson's interval, such as "72 [64, 79]"."""
    return hits_text(sum(map(bool, flags)), len(flags))


def hits_text(hits: int, n: int) -> str:
    """The same of a number of hits."""
    low, high = wilson(hits, n)
    return f"{100 * hits / n:.0f} [{100 * low:.0f}, {100 * high:.0f}]"


def mean_text(values: Sequence[float], digits: int = 2) -> str:
    """Mean and half interval, such as "0.72 ± 0.03"."""
    average, half = mean(values)
    return f"{average:.{digits}f} ± {half:.{digits}f}"


def percent_text(shares: Sequence[float]) -> str:
    """Mean and half interval in percent, such as "97 ± 1"."""
    average, half = mean(shares)
    return f"{100 * average:.0f} ± {100 * half:.0f}"
