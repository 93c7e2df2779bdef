"""Log lines of a loop of many steps: how long it still takes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...tokenopt_core.optimize.config import OptimizeConfig

log = logging.getLogger(__name__)

FIRST = 3.0  # seconds before the first estimate
SELDOM = 3  # times the time so far until the next one: after 3 s, 12 s, 48 s, ...
WORTH_TELLING = 10.0  # seconds; who has to wait less need not be told


class TimeLeft:
    """Tells how long a loop still takes, after its first seconds and then ever more seldom.

    What counts is the pace since it spoke last, so that it follows a machine that gets busy. The
    first step, which also warms up, does not count.

    Args:
        total: steps at most.
        seconds: that the loop may take; 0 is no limit.
        may_end: the loop may end by itself before its last step.
        clock: the time in seconds.
    """

    def __init__(
        self,
        total: int,
        *,
        seconds: float = 0.0,
        may_end: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.total, self.seconds, self.clock = total, seconds, clock
        self._at_most = "at most " if may_end or seconds else ""
        self._before: tuple[int, float] | None = None  # steps done, and when: as it spoke last
        self._began = self._due = 0.0

    @classmethod
    def of(cls, config: OptimizeConfig) -> TimeLeft:
        """For a run with these settings."""
        may_end = config.patience > 0 or config.target is not None
        return cls(config.steps, seconds=config.seconds, may_end=may_end)

    def note(self, done: int) -> None:
        """Hears after every step how many are done; fewer than before: the loop began anew."""
        now = self.clock()
        if self._before is None or done <= self._before[0]:
            self._began, self._due, self._before = now, now + FIRST, (done, now)
        elif now >= self._due and done < self.total:
            left = self._left(done, now)
            self._due, self._before = now + SELDOM * (now - self._began), (done, now)
            if left >= WORTH_TELLING:
                time_left = f"{self._at_most}about {in_words(left)} left"
                log.info("TokenOpt: step %d of %d, %s", done, self.total, time_left)

    def _left(self, done: int, now: float) -> float:
        steps, then = self._before
        left = (now - then) / (done - steps) * (self.total - done)
        return min(left, self._began + self.seconds - now) if self.seconds else left


def in_words(seconds: float) -> str:
    """A time as people say it: 42 s, 12 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
