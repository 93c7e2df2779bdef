"""One file of a hub repository over HTTP: patient with the line, quick to cancel.

The network is waited for in a thread of its own. The caller's thread writes the file and, at least
five times a second, calls `beat()`: an exception raised there ends the download at once, however
long the server stays silent.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import queue
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .messages import BEAT_SECONDS, CannotWrite, Damaged, asked_wait, status_of

logger = logging.getLogger(__name__)

SILENCE = 10.0  # seconds without a byte after which a connection counts as lost
ATTEMPTS = 5  # in a row that bring nothing
FIRST_WAIT = 1.0  # seconds before the second attempt, doubled before each further one
LONGEST_WAIT = 120.0  # a server that asks for more is not waited for
PASSING = (408, 429, 500, 502, 503, 504)  # answers that may be another one soon
PIECE = 2**16  # bytes


@dataclass(frozen=True)
class RemoteFile:
    """A file that the hub has: its size in bytes and its version, as far as the hub tells them."""

    repo: str
    name: str
    url: str
    size: int | None
    version: str


def look_up(repo: str, name: str, beat: Beat) -> RemoteFile:
    """What the hub says about a file. Without a network this fails at once."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url, failed = hf_hub_url(repo, name), 0
    while True:
        try:
            (facts,) = in_background(
                lambda: iter([get_hf_file_metadata(url, timeout=SILENCE)]), beat
            )
            return RemoteFile(repo, name, url, facts.size, re.sub(r"\W", "", facts.etag or ""))
        except failures() as error:
            failed += 1
            if status_of(error) is None:
                raise
            _wait(_pause(error, failed), f"{repo}/{name}", beat)


def bring(remote: RemoteFile, path: Path, beat: Beat, reached: Callable[[int], None]) -> None:
    """Append to `path` what it lacks of a remote file; `reached(bytes)` is told after each piece.

    A broken line, a busy or a failing server are met with further attempts, each of which goes on
    where the last one stopped.

    Raises:
        CannotWrite: the disk is full and the like.
        `failures()`: the last attempt's error.
    """
    failed = 0
    with _opened_to_append(path) as file:
        if remote.size is None or file.tell() > remote.size or not remote.version:
            _cut(file, 0)  # nothing says that these bytes belong to this version
        reached(file.tell())
        while remote.size is None or file.tell() < remote.size:
            before = file.tell()
            try:
                with contextlib.closing(_pieces(remote, before, beat)) as pieces:
                    for at, piece in pieces:
                        _write(file, at, piece)
                        reached(at + len(piece))
                        if remote.size is not None and file.tell() > remote.size:
                            return  # a flood; whoever checks the file finds it too long
                if remote.size is None:
                    break
                if file.tell() < remote.size:
                    raise ConnectionError(f"the line broke after {file.tell()} bytes")
            except failures() as error:
                failed = failed + 1 if file.tell() <= before else 1
                if status_of(error) == 416:  # the hub has no such bytes: begin again
                    _cut(file, 0)
                _wait(_pause(error, failed), f"{remote.repo}/{remote.name}", beat)
        with _disk():
            os.fsync(file.fileno())


def failures() -> tuple[type[Exception], ...]:
    """What asking the hub may raise. Its HTTP client differs between versions of the hub."""
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    return (OSError, EntryNotFoundError, *HfHubHTTPError.__bases__)


def _pieces(remote: RemoteFile, start: int, beat: Beat) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of a file from `start` on, or from 0 where the server cannot do otherwise."""
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"

    def read() -> Iterator[tuple[int, bytes]]:
        with _opened(remote.url, headers) as response:
            hf_raise_for_status(response)
            at = start if response.status_code == 206 else 0
            if at and not response.headers.get("Content-Range", "").startswith(f"bytes {at}-"):
                raise ConnectionError("the server sent another part than it was asked for")
            for piece in _content(response):
                yield at, piece
                at += len(piece)

    return in_background(read, beat)


def _opened(url: str, headers: dict[str, str]) -> Any:
    """A response to read from. Either client keeps the token from other hosts when redirected."""
    from huggingface_hub.utils import get_session

    session = get_session()
    if callable(session.stream):  # httpx, since huggingface_hub 1.0; a setting of requests before
        options = {"timeout": SILENCE, "follow_redirects": True}
        return session.stream("GET", url, headers=headers, **options)
    return session.get(url, headers=headers, timeout=SILENCE, stream=True)


def _content(response: Any) -> Iterator[bytes]:
    return response.iter_raw() if hasattr(response, "iter_raw") else response.iter_content(PIECE)


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    """Tells errors of the disk from those of the network."""
    try:
        yield
    except OSError as error:
        raise CannotWrite(str(error)) from error


def _opened_to_append(path: Path) -> io.FileIO:
    """Without a buffer: what has come is in the file, even if this process is killed."""
    with _disk():
        path.parent.mkdir(parents=True, exist_ok=True)
        return io.FileIO(path, "ab")


def _write(file: io.FileIO, at: int, piece: bytes) -> None:
    if at != file.tell():
        _cut(file, at)  # the server began again from the start
    with _disk():
        rest = memoryview(piece)
        while rest:
            rest = rest[file.write(rest) :]


def _cut(file: io.FileIO, size: int) -> None:
    with _disk():
        file.truncate(size)
        file.seek(size)


def _pause(error: Exception, failed: int) -> float:
    """Seconds to wait before the next attempt; raises the error where that would not help."""
    status = status_of(error)
    wait = max(asked_wait(error), FIRST_WAIT * 2 ** (failed - 1))
    hopeless = status is not None and status not in (*PASSING, 416)
    if hopeless or failed >= ATTEMPTS or wait > LONGEST_WAIT:
        raise error
    return wait


def _wait(seconds: float, what: str, beat: Beat) -> None:
    logger.info("%s does not come: trying again in %.0f s.", what, seconds)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        beat()
        time.sleep(max(0.0, min(BEAT_SECONDS, until - time.monotonic())))


Beat = Callable[[], None]


T = TypeVar("T")


AHEAD = 64  # items that may wait to be taken


def in_background(source: Callable[[], Iterator[T]], beat: Beat) -> Iterator[T]:
    """The items of an iterator that is run in another thread; `beat()` is called while it waits.

    When the caller stops early the thread ends at its next item, or when its server's silence has
    lasted long enough.
    """
    items: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(AHEAD)
    unwanted = threading.Event()

    def put(item: T | None, error: BaseException | None = None) -> None:
        while not unwanted.is_set():
            with contextlib.suppress(queue.Full):
                return items.put((item, error), timeout=BEAT_SECONDS)

    def work() -> None:
        try:
            for item in source():
                put(item)
                if unwanted.is_set():
                    return
            put(None, StopIteration())
        except BaseException as error:  # handed to the caller's thread
            put(None, error)

    threading.Thread(target=work, name="tokenopt download", daemon=True).start()
    try:
        while True:
            beat()
            try:
                item, error = items.get(timeout=BEAT_SECONDS)
            except queue.Empty:
                continue
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        unwanted.set()


logger = logging.getLogger(__name__)


READ = 2**22  # bytes at a time


WORTH_KEEPING = 2**20  # bytes


MOVES = 10  # attempts: on Windows a virus scanner may still hold a new file for a moment


VERSION = 16  # characters; Windows often takes no path of more than 259


@contextlib.contextmanager
def locked(path: Path, beat: Beat) -> Iterator[None]:
    """Holds a lock file, and waits (`beat()` may cancel that) while another process holds it.

    The system lets go of the lock of a process that died.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock, waiting = FileLock(path), False
    while True:
        beat()
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            if not waiting:
                logger.info("Another process is downloading this model: waiting for it (%s).", path)
            waiting = True
            time.sleep(BEAT_SECONDS)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes it when it is let go of
            path.unlink()
        lock.release()


def partial_path(staging: Path, remote: RemoteFile) -> Path:
    """Where a file grows: never onto the bytes of another version."""
    return staging / f"{remote.name}.{remote.version[:VERSION]}"


def kept_in(staging: Path) -> int:
    """Bytes from which the next download can go on; 0 if there are too few to keep."""
    files = staging.iterdir() if staging.is_dir() else ()
    size = sum(file.stat().st_size for file in files)
    return size if size >= WORTH_KEEPING else 0


def check_room(folder: Path, needed: int) -> None:
    """Raise CannotWrite unless the disk of a folder (that may not exist yet) has `needed` bytes."""
    from .messages import in_bytes

    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise CannotWrite(f"it needs {in_bytes(needed)}, and {there} has {in_bytes(free)} free")


def check(path: Path, remote: RemoteFile, beat: Beat) -> None:
    """Remove a file and raise Damaged unless it is whole: size, SHA-256 and form are right."""
    from safetensors import SafetensorError, safe_open

    try:
        size = path.stat().st_size
        if remote.size not in (None, size):
            raise ValueError(f"it has {size} bytes, expected {remote.size}")
        if re.fullmatch("[0-9a-f]{64}", remote.version):  # else the hub announces none
            found = _sha256(path, beat)
            if found != remote.version:
                raise ValueError(
                    f"its SHA-256 is {found[:8]}..., the hub announces {remote.version[:8]}..."
                )
        if remote.name.endswith(".safetensors"):
            with safe_open(path, framework="pt"):
                pass
        elif remote.name.endswith(".json"):
            json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError, SafetensorError) as error:
        path.resolve().unlink(missing_ok=True)  # in the hub's cache, path is a link
        path.unlink(missing_ok=True)
        raise Damaged(
            f"what came is damaged or incomplete and was removed ({error}); run again"
        ) from error


def move_in(path: Path, target: Path) -> None:
    """Put a checked file in its place, at once and whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(MOVES):
        try:
            return os.replace(path, target)
        except PermissionError:
            if attempt == MOVES - 1:
                raise
            time.sleep(BEAT_SECONDS)


def _sha256(path: Path, beat: Beat) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(READ):
            beat()
            digest.update(piece)
    return digest.hexdigest()
