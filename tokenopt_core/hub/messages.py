"""Messages of downloads: progress, the reason of a failure, and how to get the files by hand."""

from __future__ import annotations

import contextlib
import email.utils
import errno
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]  # bytes done, bytes in all

TICK_SECONDS = 0.2
LOG_SECONDS = 10.0
LONGEST_REASON = 120  # characters
LONGEST_PATH = 259  # characters, unless Windows was told to take more
UNITS = ((10**9, "GB", 1), (10**6, "MB", 0), (10**3, "kB", 0), (1, "bytes", 0))


class DownloadError(OSError):
    """A model is not here and could not or must not be downloaded; the message says what to fetch
    by hand and where to."""


class CannotWrite(Exception):
    """The disk does not take what came over the network; `__cause__` says why."""


class Damaged(OSError):
    """A file is not what the hub announced; it is gone again."""


class Meter:
    """Counts the bytes of several files, for a callback and for the log.

    `progress(bytes done, bytes in all)` is called at most five times a second, also while nothing
    comes, so that it can cancel by an exception; it is given 0 of 0 while the total is unknown.
    """

    def __init__(self, name: str, progress: Progress | None) -> None:
        self.name, self.total = name, 0
        self._progress = progress
        self._done = self._of_earlier_files = 0
        self._due = 0.0

    def start(self, total: int, kept: int) -> None:
        """`kept` bytes are left from an earlier download: they say nothing about the speed."""
        self.total, self._done = total, kept
        self._first = self._logged = (time.monotonic(), kept)

    def update(self, size: int) -> None:
        """The present file has `size` bytes now."""
        self._done = self._of_earlier_files + size
        self.tick()

    def finish_file(self, size: int) -> None:
        """The present file is complete; the next one begins."""
        self._of_earlier_files += size
        self._done, self._due = self._of_earlier_files, 0.0
        self.tick()

    def tick(self) -> None:
        """Reports if it is time to; what the callback raises cancels the download."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + TICK_SECONDS
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
        pace = "nothing comes"
        if speed > 0:
            left = (self.total - self._done) / speed
            pace = f"{in_bytes(speed)}/s, about {in_time(left)} left"
        logger.info("%s: %s of %s, %s", self.name, in_bytes(self._done), in_bytes(self.total), pace)


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


def by_hand(needed: Sequence[tuple[str, str]], target: object) -> str:
    """Which files to put where; `needed` are (repository, file)."""
    repos: dict[str, list[str]] = {}
    for repo, file in needed:
        repos.setdefault(repo, []).append(file)
    sources = [f"{' and '.join(files)} from {address(repo)}" for repo, files in repos.items()]
    return f"put {' and '.join(sources)} into {target}."


def not_here(name: str, size: int, manual: str) -> str:
    """The message for a model that is missing and must not be downloaded; `manual` is `by_hand`."""
    about = f" (about {in_bytes(size)})" if size else ""
    return (
        f"{name!r} is not on this computer, and download is off: switch it on to get it"
        f"{about}, or {manual}"
    )


def failed(file: str, name: str, size: int, why: str, kept: int, manual: str) -> str:
    """The message for a file of a model of which `kept` bytes have come."""
    about = f" ({in_bytes(size)})" if size else ""
    again = f" Run again to go on from {in_bytes(kept)}." if kept else ""
    return (
        f"Could not download {file}{about} of {name!r}: {why}.{again} To install it by hand, "
        f"{manual}"
    )


def reason(error: BaseException, repo: str) -> str:
    """Why a file did not come, without the addresses that the hub's own messages hold: a redirected
    one may carry a signature."""
    status, kind = status_of(error), type(error).__name__
    if status is not None:
        return _answer(status, kind, asked_wait(error), repo)
    if isinstance(error, CannotWrite):
        return _disk_reason(error.__cause__) or str(error)
    if kind == "OfflineModeIsEnabled":
        return "HF_HUB_OFFLINE forbids to use the network"
    text = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    if isinstance(error, Damaged) or getattr(error, "errno", None):
        return text or kind
    # Some HTTP clients give their whole internal state as the message.
    short = text if 0 < len(text) <= LONGEST_REASON else kind
    return f"{short} when asking {address(repo)}"


def failures() -> tuple[type[Exception], ...]:
    """What asking the hub may raise. Its HTTP client differs between versions of the hub."""
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    return (OSError, EntryNotFoundError, *HfHubHTTPError.__bases__)


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Tells errors of the disk from those of the network."""
    try:
        yield
    except OSError as error:
        raise CannotWrite(str(error)) from error


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


def _disk_reason(cause: BaseException | None) -> str:
    """What an error of the system means, where its own message does not say it."""
    if getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"the disk is full ({cause})"
    path = str(getattr(cause, "filename", ""))
    too_long = len(path) > LONGEST_PATH and isinstance(cause, FileNotFoundError)
    if too_long and sys.platform == "win32":
        return f"its path has {len(path)} characters, and Windows takes {LONGEST_PATH}"
    return ""


def _answer(status: int, kind: str, wait: float, repo: str) -> str:
    login = "log in with `hf auth login` or set HF_TOKEN"
    if kind == "GatedRepoError":
        advice = f": accept the terms at {address(repo)}, then {login}"
    elif status in (401, 403):
        advice = f": the repository is private or not there; {login} if you may see it"
    elif status == 404:
        advice = ": it has no such file"
    elif status == 429:
        asked = f" and asks to wait {in_time(wait)}" if wait else ""
        advice = f": too many requests{asked}; try again later"
    else:
        advice = "; try again later" if status >= 500 else ""
    return f"the hub answers {status}{advice}"
