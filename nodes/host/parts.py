"""A long batch in parts: the memory stays that of one part, and a cancel is heard between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ...tokenopt_core.compute.memory import AtOnce
from .compat import ProgressBar, model_management

T = TypeVar("T")

PIXELS_AT_ONCE = 2**19  # 128 images of the demo tokenizer, 8 of a released one


def part_size(total: int, size: int) -> int:
    """How many of `total` images of size x size pixels are computed at once."""
    return min(total, images_at_once(size))


def in_parts(total: int, size: int, work: Callable[[slice], T]) -> list[T]:
    """What `work` makes of a batch of `total` images of size x size pixels, a part at a time.

    A batch of several parts shows its progress on the node, and each next part ends on a cancel.
    Where memory does not suffice for a part, it is divided.

    Args:
        work: which images -> what is kept of them.
    """
    made, follow = [], None
    for rows, result in AtOnce(part_size(total, size)).parts(total, work):
        made.append(result)
        if follow is None and rows.stop < total:
            follow = Counter(total)
        if follow:
            follow(rows.stop, total)
    return made


def images_at_once(size: int) -> int:
    """How many images of size x size pixels a node decodes at once."""
    return max(1, PIXELS_AT_ONCE // size**2)


class Counter:
    """Progress of work on `total` images, and its end on cancel; for a library's `progress`."""

    def __init__(self, total: int, start: int = 0):
        self.bar, self.total, self.start, self.done = ProgressBar(total), total, start, start

    def __call__(self, done: int, total: int) -> None:
        model_management.throw_exception_if_processing_interrupted()
        self.done = self.start + done
        self.bar.update_absolute(self.done, self.total)
