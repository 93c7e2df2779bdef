"""Progress on a node, and the end on a cancel: of a batch, a run and a download."""

from __future__ import annotations

import time
from collections.abc import Callable

from PIL import Image

from ...tokenopt_core.optimize.state import Step
from .compat import ProgressBar, executing, model_management
from .images import preview
from .loss_feed import LossFeed
from .run_log import TimeLeft

INTERVAL = 0.2  # seconds between messages; a step of a small model takes a fifth of that
FIRST = 20  # steps that are all shown: those of a short run, and those that a user waits for
PREVIEW_SIZE = 512  # pixels of the largest side

Draw = Callable[[Step], Image.Image | None]  # the image to show with a step, if any


class BatchProgress:
    """Progress of a batch that is worked through; for a library's `progress`.

    Args:
        total: of the whole work; None takes the library's.
        start: how much of it was done before.
        draw: the image to show now, if any.
        size: of that image, the largest side in pixels.
    """

    def __init__(
        self,
        total: int | None = None,
        start: int = 0,
        draw: Callable[[], Image.Image | None] = lambda: None,
        size: int = PREVIEW_SIZE,
    ):
        self.total, self.start, self.done = total, start, start
        self._bar, self._draw, self._size = ProgressBar(total or 1), draw, size

    def __call__(self, done: int, total: int) -> None:
        model_management.throw_exception_if_processing_interrupted()
        self.done = self.start + done
        total = total if self.total is None else self.total
        self._bar.update_absolute(self.done, total, _as_preview(self._draw(), self._size))


class DownloadProgress:
    """Progress of a download, in bytes of all its files, on the node that makes it."""

    def __init__(self) -> None:
        self._bar = None
        self._node = executing()[1]

    def __call__(self, done: int, total: int) -> None:
        model_management.throw_exception_if_processing_interrupted()
        if total:  # known once the hub has answered
            self._bar = self._bar or ProgressBar(total, node_id=self._node)
            self._bar.update_absolute(done, total)


class StepBar:
    """Shows how many of `total` steps are done: each of the first ones, then five times a second.

    For each message ComfyUI builds and sends two JSON texts on the server's thread, most of a
    millisecond in which the loop's Python waits; a step of a fast loop takes 7.

    Args:
        time_left: says in the log how long it will take, for a loop that may end early.
    """

    def __init__(self, total: int, time_left: TimeLeft | None = None):
        self.total, self._time_left = total, time_left or TimeLeft(total)
        self._bar, self._due = ProgressBar(total), 0.0

    def show(self, done: int, image: Image.Image | None, size: int) -> None:
        """Notes that `done` steps are done; an image always goes out, and so does the last step."""
        self._time_left.note(done)
        if image is None and FIRST < done < self.total and time.monotonic() < self._due:
            return
        self._bar.update_absolute(done, self.total, _as_preview(image, size))
        self._due = time.monotonic() + INTERVAL


class RunProgress:
    """Follows the steps of a run: bar, curve of the loss, image, and an end on a cancel.

    Args:
        steps: of the run.
        draw: what to show, see `every`.
        bar: of several runs in a row; one of this run's own without it.
        before: steps of the runs before, where the bar is of several.
        title: of the run, where a node makes several.
        size: of the shown image, the largest side in pixels.
    """

    def __init__(
        self,
        steps: int,
        draw: Draw,
        bar: StepBar | None = None,
        *,
        before: int = 0,
        title: str = "",
        size: int = PREVIEW_SIZE,
    ):
        self.feed = LossFeed(steps, title)
        self._draw, self._bar, self._before, self._size = draw, bar or StepBar(steps), before, size

    def __call__(self, step: Step) -> None:
        model_management.throw_exception_if_processing_interrupted()
        self.feed.add(step)
        self._bar.show(self._before + step.index + 1, self._draw(step), self._size)


def every(count: int, steps: int) -> Draw:
    """Draws the images of every so many steps, 0 is never, and those of the last one of `steps`."""

    def draw(step: Step) -> Image.Image | None:
        done = step.index + 1
        shown = count and (done % count == 0 or done == steps)
        return preview(step.images) if shown else None

    return draw


def _as_preview(image: Image.Image | None, size: int) -> tuple[str, Image.Image, int] | None:
    """As ComfyUI's progress bar takes it."""
    return None if image is None else ("JPEG", image, size)
