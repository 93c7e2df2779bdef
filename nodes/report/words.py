"""Numbers, tables and cut texts, as the nodes write them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def mean(values: Sequence[float | None], digits: str = ".4g") -> str:
    """The mean of the values that are numbers, as text."""
    found = [value for value in values if value is not None]
    return format(statistics.fmean(found), digits) if found else "not a number"
