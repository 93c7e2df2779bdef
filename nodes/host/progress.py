"""The progress of a loop of many steps, without the loop having to wait for its display."""

from __future__ import annotations

import time

from PIL import Image

from .compat import ProgressBar
from .run_log import TimeLeft

INTERVAL = 0.2  # seconds between messages; a step of a small model takes a fifth of that
FIRST = 20  # steps that are all shown: those of a short run, and those that a user waits for


class StepBar:
    """Shows how many of `total` steps are done: each of the first ones, then five times a second.

    For each message ComfyUI builds and sends two JSON texts on the server's thread, most of a
    millisecond in which the loop's Python waits; a step of a fast loop takes 7. Whether the user
    has cancelled is not looked for here: that belongs to every step.

    Args:
        time_left: says in the log how long it will take, for a loop that may end early.
    """

    def __init__(self, total: int, time_left: TimeLeft | None = None):
        self.total, self.time_left = total, time_left or TimeLeft(total)
        self._bar, self._due = ProgressBar(total), 0.0

    def show(self, done: int, preview: tuple[str, Image.Image, int] | None = None) -> None:
        """Notes that `done` steps are done; a preview (format, image, largest side) always goes
        out, and so does the last step."""
        self.time_left.note(done)
        if preview is None and FIRST < done < self.total and time.monotonic() < self._due:
            return
        self._bar.update_absolute(done, self.total, preview)
        self._due = time.monotonic() + INTERVAL
