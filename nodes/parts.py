"""A long batch in parts: the memory stays that of one part, and a cancel is heard between them."""

from __future__ import annotations

from collections.abc import Iterator

from .compat import ProgressBar, model_management

PIXELS_AT_ONCE = 2**19  # 128 images of the demo tokenizer, 8 of a released one


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


def images_at_once(size: int) -> int:
    """How many images of size x size pixels a node decodes at once."""
    return max(1, PIXELS_AT_ONCE // size**2)


class Counter:
    """Progress of work on `total` images, and its end on cancel; for a library's `progress`."""

    def __init__(self, total: int, start: int = 0):
        self.bar, self.total, self.start = ProgressBar(total), total, start

    def __call__(self, done: int, total: int) -> None:
        model_management.throw_exception_if_processing_interrupted()
        self.bar.update_absolute(self.start + done, self.total)
