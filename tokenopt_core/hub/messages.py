"""What a download says: how far it is, and, when it fails, what is missing and how to get it."""

from __future__ import annotations

import contextlib
import email.utils
import errno
import logging
import re
import sys
import time
from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
LOG_SECONDS = 10.0
LONG_REASON = 120  # characters
LONGEST = 259  # characters of a path, unless Windows was told to take more
UNITS = ((10**9, "GB", 1), (10**6, "MB", 0), (10**3, "kB", 0), (1, "bytes", 0))


class Meter:
    """How many bytes of `total`, over several files, are there; for a callback and for the log.

    `progress(bytes done, bytes in all)` is called at most five times a second, also while nothing
    comes, so that it can cancel by an exception; it is given 0 of 0 while the total is unknown.
    """

    def __init__(self, name: str, progress: Progress | None) -> None:
        self.name, self.total = name, 0
        self._progress = progress
        self._before = self._done = 0  # bytes of the files before this one; of all files
        self._due = 0.0

    def start(self, total: int, there: int) -> None:
        """`there` bytes are left from an earlier download: they say nothing about the speed."""
        self.total, self._done = total, there
        self._first = self._logged = (time.monotonic(), there)

    def reached(self, size: int) -> None:
        """So many bytes of the present file are there."""
        self._done = self._before + size
        self.beat()

    def finish_file(self, size: int) -> None:
        self._before += size
        self._done, self._due = self._before, 0.0
        self.beat()

    def beat(self) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + BEAT_SECONDS
        if self._progress:
            self._progress(self._done, max(self._done, self.total))
        if self.total and now - self._logged[0] >= LOG_SECONDS:
            self._log(now)

    def summary(self) -> str:
        """Bytes, seconds and speed of what this download fetched itself."""
        seconds = max(time.monotonic() - self._first[0], 1e-3)
        fetched = self._done - self._first[1]
        return f"{in_bytes(fetched)} in {seconds:.0f} s, {in_bytes(fetched / seconds)}/s"

    def _log(self, now: float) -> None:
        """The speed is that of the last seconds; without any there is no estimate."""
        speed = (self._done - self._logged[1]) / (now - self._logged[0])
        self._logged = (now, self._done)
        left = (self.total - self._done) / speed if speed > 0 else 0
        logger.info(
            "%s: %s of %s, %s",
            self.name,
            in_bytes(self._done),
            in_bytes(self.total),
            f"{in_bytes(speed)}/s, about {in_time(left)} left" if speed > 0 else "nothing comes",
        )


def in_bytes(count: float) -> str:
    """1234567890 -> "1.2 GB"."""
    for size, unit, digits in UNITS:
        if count >= size:
            return f"{count / size:.{digits}f} {unit}"
    return "0 bytes"


def in_time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def address(repo: str) -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{repo}"


def by_hand(wanted: Sequence[tuple[str, str]], target: object) -> str:
    """Which files to put where; `wanted` are (repository, file)."""
    repos: dict[str, list[str]] = {}
    for repo, file in wanted:
        repos.setdefault(repo, []).append(file)
    parts = [f"{' and '.join(files)} from {address(repo)}" for repo, files in repos.items()]
    return f"put {' and '.join(parts)} into {target}."


def reason(error: BaseException, repo: str) -> str:
    """Why a file did not come, without the addresses that the hub's own messages hold: a redirected
    one may carry a signature."""
    status, kind = status_of(error), type(error).__name__
    if status is not None:
        return _answer(status, kind, asked_wait(error), repo)
    if isinstance(error, CannotWrite):
        return _disk(error.__cause__) or str(error)
    if kind == "OfflineModeIsEnabled":
        return "HF_HUB_OFFLINE forbids to use the network"
    text = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    if isinstance(error, Damaged) or getattr(error, "errno", None):
        return text or kind
    short = text if 0 < len(text) <= LONG_REASON else kind  # some clients tell their inner life
    return f"{short} when asking {address(repo)}"


def _disk(cause: BaseException | None) -> str:
    """What the system means by an error, where its words do not say it."""
    if getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"the disk is full ({cause})"
    name = str(getattr(cause, "filename", ""))
    if sys.platform == "win32" and isinstance(cause, FileNotFoundError) and len(name) > LONGEST:
        return f"its path has {len(name)} characters, and Windows takes {LONGEST}"
    return ""


def _answer(status: int, kind: str, wait: float, repo: str) -> str:
    if kind == "GatedRepoError":
        return (
            f"the hub answers {status}: accept the terms at {address(repo)}, then log in with "
            "`hf auth login` or set HF_TOKEN"
        )
    if status in (401, 403):
        return (
            f"the hub answers {status}: the repository is private or not there; log in with "
            "`hf auth login` or set HF_TOKEN if you may see it"
        )
    if status == 404:
        return "the hub answers 404: it has no such file"
    if status == 429:
        asked = f" and asks to wait {in_time(wait)}" if wait else ""
        return f"the hub answers 429: too many requests{asked}; try again later"
    return f"the hub answers {status}" + ("; try again later" if status >= 500 else "")


class CannotWrite(Exception):
    """The disk does not take what came over the network; `__cause__` says why."""


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error reports, if a server answered at all."""
    return getattr(getattr(error, "response", None), "status_code", None)


def asked_wait(error: BaseException) -> float:
    """Seconds that the server asks to wait: a number, a date, or the hub's RateLimit; else 0."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    asked = str(headers.get("Retry-After", "")).strip()
    if re.fullmatch(r"\d{1,9}", asked):
        return float(asked)
    with contextlib.suppress(TypeError, ValueError):
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
    reset = re.search(r"\bt=(\d{1,9})\b", str(headers.get("RateLimit", "")))
    return float(reset[1]) if reset and status_of(error) == 429 else 0.0


class Damaged(OSError):
    """A file is not what the hub announced; it is gone again."""


BEAT_SECONDS = 0.2
