"""What a run does when memory does not suffice: the same again, with less of it at once.

An image does not depend on its batch mates, nor a crop on the others, so the result is the same up
to rounding. What still does not fit ends the run with the error as it came: ComfyUI knows it,
unloads all models and tells the user.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum
from typing import TypeVar

from ...tokenopt_core.compute.memory import Chunks, is_out_of_memory
from ..losses.recipe import LossRecipe, Term
from .compat import ProgressBar, model_management

T = TypeVar("T")

log = logging.getLogger(__name__)


class Level(IntEnum):
    """How much is computed at once."""

    ALL = 0
    ONE_IMAGE = 1  # and its crops
    ONE_CROP = 2


_TOLD = {
    Level.ONE_IMAGE: "one image after the other",
    Level.ONE_CROP: "one image and one crop after the other",
}


class MemoryRetry:
    """Tries with less at once when memory runs out, and begins with that the next time."""

    def __init__(self) -> None:
        self.level = Level.ALL

    def run(self, attempt: Callable[[], T], recipe: LossRecipe) -> T:
        """What `attempt` gives, which is called three times at most.

        Args:
            attempt: computes at once what `level` says, and asks `spare(recipe)`.
        """
        while True:
            try:
                return attempt()
            except Exception as error:
                following = self._following(recipe)
                if following is None or not is_out_of_memory(error):
                    raise
            # Not inside `except`: the error holds all that the attempt had made.
            model_management.soft_empty_cache()
            self.level = following
            log.warning("TokenOpt: memory did not suffice; trying %s.", _TOLD[following])

    def spare(self, recipe: LossRecipe) -> LossRecipe:
        """The recipe as it is at this level: its guides look at less in one pass."""
        if not self.low_memory:
            return recipe
        one_crop = self.level is Level.ONE_CROP

        def less(term: Term) -> Term:
            if not hasattr(term, "chunk_size"):
                return term
            return replace(term, chunk_size=1 if one_crop else max(1, term.crops))

        return recipe.changed(less)

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
            f"memory did not suffice for everything at once: computed {_TOLD[self.level]}, which "
            "takes longer and gives the same result.",
        )

    def _following(self, recipe: LossRecipe) -> Level | None:
        if self.level is Level.ALL:
            return Level.ONE_IMAGE
        crops = max((getattr(term, "crops", 0) for term in recipe.every_term()), default=0)
        return Level.ONE_CROP if self.level is Level.ONE_IMAGE and crops > 1 else None


PIXELS_AT_ONCE = 2**19  # 128 images of the demo tokenizer, 8 of a released one


def part_size(total: int, size: int) -> int:
    """How many of `total` images of size x size pixels are computed at once."""
    return min(total, images_per_chunk(size))


def in_chunks(total: int, size: int, work: Callable[[slice], T]) -> list[T]:
    """What `work` makes of a batch of `total` images of size x size pixels, a part at a time.

    A batch of several parts shows its progress on the node, and each next part ends on a cancel.
    Where memory does not suffice for a part, it is divided.

    Args:
        work: which images -> what is kept of them.
    """
    made, follow = [], None
    for rows, result in Chunks(part_size(total, size)).parts(total, work):
        made.append(result)
        if follow is None and rows.stop < total:
            follow = Counter(total)
        if follow:
            follow(rows.stop, total)
    return made


def images_per_chunk(size: int) -> int:
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
