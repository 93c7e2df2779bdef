"""Retries in smaller chunks when memory does not suffice, and batches worked through in chunks.

An image does not depend on its batch mates, nor a crop on the others, so the result is the same up
to rounding. What still does not fit ends the run with the error as it came: ComfyUI knows it,
unloads all models and tells the user.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import IntEnum
from typing import TypeVar

from ...tokenopt_core.compute.memory import Chunks, is_out_of_memory
from .compat import model_management
from .progress import BatchProgress

T = TypeVar("T")

log = logging.getLogger(__name__)

PIXELS_PER_CHUNK = 2**19  # 128 images of the demo tokenizer, 8 of a released one


class Level(IntEnum):
    """The size of the chunks that a run is computed in."""

    ALL = 0
    ONE_IMAGE = 1  # and its crops
    ONE_CROP = 2


_WORDS = {
    Level.ONE_IMAGE: "one image after the other",
    Level.ONE_CROP: "one image and one crop after the other",
}


class MemoryRetry:
    """Tries again in smaller chunks when memory runs out, and begins with those the next time."""

    def __init__(self) -> None:
        self.level = Level.ALL

    def run(self, attempt: Callable[[], T], smallest: Level = Level.ONE_IMAGE) -> T:
        """What `attempt` gives, which is called three times at most.

        Args:
            attempt: computes in the chunks that `level` says.
            smallest: the level beyond which an attempt needs no less, see `LossRecipe`.
        """
        while True:
            try:
                return attempt()
            except Exception as error:
                if self.level >= smallest or not is_out_of_memory(error):
                    raise
            # Not inside `except`: the error holds all that the attempt had made.
            model_management.soft_empty_cache()
            self.level = Level(self.level + 1)
            log.warning("TokenOpt: memory did not suffice; trying %s.", _WORDS[self.level])

    @property
    def low_memory(self) -> bool:
        """Whether images are computed one after the other."""
        return self.level is not Level.ALL

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for the user, where anything had to be done."""
        if not self.low_memory:
            return ()
        return (
            f"memory did not suffice for everything at once: computed {_WORDS[self.level]}, which "
            "takes longer and gives the same result.",
        )


def images_per_chunk(size: int, total: int | None = None) -> int:
    """How many images of size x size pixels are computed at once, of `total` if that is known."""
    most = max(1, PIXELS_PER_CHUNK // size**2)
    return most if total is None else min(total, most)


def in_chunks(total: int, size: int, work: Callable[[slice], T]) -> list[T]:
    """What `work` makes of a batch of `total` images of size x size pixels, a chunk at a time.

    A batch of several chunks shows its progress on the node, and each next chunk ends on a cancel.
    Where memory does not suffice for a chunk, it is divided.

    Args:
        work: which images -> what is kept of them.
    """
    results, progress = [], None
    for rows, result in Chunks(images_per_chunk(size, total)).parts(total, work):
        results.append(result)
        if progress is None and rows.stop < total:
            progress = BatchProgress(total)
        if progress:
            progress(rows.stop, total)
    return results
