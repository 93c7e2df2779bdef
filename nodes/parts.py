"""A long batch in parts: the memory stays that of one part, and a cancel is heard between them."""

from __future__ import annotations

from collections.abc import Iterator

from .influence import Counter, images_at_once


def part_size(total: int, size: int) -> int:
    """How many of `total` images of size x size pixels are computed at once."""
    return min(total, images_at_once(size))


def in_parts(total: int, size: int) -> Iterator[slice]:
    """Slices of a batch of `total` images of size x size pixels, in order.

    A batch of several parts shows its progress on the node, and each next part ends on a cancel.
    """
    at_once = part_size(total, size)
    follow = Counter(total) if total > at_once else None
    for start in range(0, total, at_once):
        end = min(start + at_once, total)
        yield slice(start, end)
        if follow:
            follow(end, total)
