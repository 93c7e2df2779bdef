"""Transfer of one file from a hub over HTTP: resumed, cancelled at once, checked.

The network is waited for in a thread of its own. The caller's thread writes the file and, at least
five times a second, calls `tick()`: an exception raised there ends the download at once, however
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
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from .messages import TICK_SECONDS, Damaged, Meter, asked_wait, disk_errors, failures, status_of

logger = logging.getLogger(__name__)

T = TypeVar("T")
Tick = Callable[[], None]

SILENCE = 10.0  # seconds without a byte after which a connection counts as lost
ATTEMPTS = 5  # in a row that bring nothing
FIRST_WAIT = 1.0  # seconds before the second attempt, doubled before each further one
LONGEST_WAIT = 120.0  # a server that asks for more is not waited for
# Answers after which another attempt may succeed; after 416 (no such bytes) one from the start.
PASSING = (408, 416, 429, 500, 502, 503, 504)
CHUNK_BYTES, CHUNKS_AHEAD = 2**16, 64  # of the network
READ_BYTES = 2**22  # of a file to be checked


@dataclass(frozen=True)
class RemoteFile:
    """A file that the hub has: its size in bytes and its version, as far as the hub tells them."""

    repo: str
    name: str
    url: str
    size: int | None
    version: str


def look_up(repo: str, name: str, tick: Tick) -> RemoteFile:
    """What the hub says about a file. Without a network this fails at once."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    def ask() -> Iterator[Any]:
        yield get_hf_file_metadata(url, timeout=SILENCE)

    url = hf_hub_url(repo, name)
    attempts = _Attempts(f"{repo}/{name}", tick)
    while True:
        try:
            (facts,) = in_background(ask, tick)
            return RemoteFile(repo, name, url, facts.size, re.sub(r"\W", "", facts.etag or ""))
        except failures() as error:
            if status_of(error) is None:
                raise
            attempts.wait_after(error)


def download_file(remote: RemoteFile, path: Path, meter: Meter) -> None:
    """Append to `path` what it lacks of a remote file, and tell `meter` of each chunk.

    After a broken connection, or an answer of a busy or failing server, further attempts go on
    where the last one stopped.

    Raises:
        CannotWrite: the disk is full and the like.
        `failures()`: the last attempt's error.
    """
    attempts = _Attempts(f"{remote.repo}/{remote.name}", meter.tick)
    with disk_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without a buffer: what has come is in the file, even if this process is killed.
        opened = io.FileIO(path, "ab")
    with opened as file:
        if remote.size is None or file.tell() > remote.size or not remote.version:
            _write(file, 0, b"")  # nothing says that these bytes belong to this version
        meter.update(file.tell())
        while remote.size is None or file.tell() < remote.size:
            before = file.tell()
            try:
                _append(remote, file, meter)
                break
            except failures() as error:
                if status_of(error) == 416:
                    _write(file, 0, b"")
                attempts.wait_after(error, progress=file.tell() > before)
        with disk_errors():
            os.fsync(file.fileno())


def in_background(source: Callable[[], Iterator[T]], tick: Tick) -> Iterator[T]:
    """The items of an iterator that is run in another thread; `tick()` is called while it waits.

    When the caller stops early the thread ends at its next item, or when its server's silence has
    lasted long enough.
    """
    items: queue.Queue[T | BaseException | None] = queue.Queue(CHUNKS_AHEAD)  # None: the end
    unwanted = threading.Event()

    def put(item: T | BaseException | None) -> None:
        while not unwanted.is_set():
            with contextlib.suppress(queue.Full):
                return items.put(item, timeout=TICK_SECONDS)

    def work() -> None:
        try:
            for item in source():
                put(item)
                if unwanted.is_set():
                    return
            put(None)
        except BaseException as error:  # handed to the caller's thread
            put(error)

    threading.Thread(target=work, name="tokenopt download", daemon=True).start()
    try:
        while True:
            tick()
            try:
                item = items.get(timeout=TICK_SECONDS)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        unwanted.set()


def check(path: Path, remote: RemoteFile, tick: Tick) -> None:
    """Remove a file and raise Damaged unless it is whole: size, SHA-256 and form are right."""
    from safetensors import SafetensorError, safe_open

    try:
        size = path.stat().st_size
        if remote.size not in (None, size):
            raise ValueError(f"it has {size} bytes, expected {remote.size}")
        if re.fullmatch("[0-9a-f]{64}", remote.version):  # otherwise the hub announces none
            found = _sha256(path, tick)
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


class _Attempts:
    """Counts the attempts in a row that brought nothing, and waits before the next one."""

    def __init__(self, name: str, tick: Tick) -> None:
        self.name, self.tick, self.failed = name, tick, 0

    def wait_after(self, error: Exception, progress: bool = False) -> None:
        """Waits; raises the error where another attempt would not help."""
        self.failed = 1 if progress else self.failed + 1
        status = status_of(error)
        seconds = max(asked_wait(error), FIRST_WAIT * 2 ** (self.failed - 1))
        final = status is not None and status not in PASSING
        if final or self.failed >= ATTEMPTS or seconds > LONGEST_WAIT:
            raise error
        logger.info("%s does not come: trying again in %.0f s.", self.name, seconds)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.tick()
            time.sleep(max(0.0, min(TICK_SECONDS, until - time.monotonic())))


def _append(remote: RemoteFile, file: io.FileIO, meter: Meter) -> None:
    """One attempt at the rest of a file; raises ConnectionError where it ends too early."""
    start = file.tell()
    with contextlib.closing(in_background(partial(_stream, remote, start), meter.tick)) as chunks:
        for offset, chunk in chunks:
            _write(file, offset, chunk)
            meter.update(file.tell())
            if remote.size is not None and file.tell() > remote.size:
                return  # endless; `check` finds the file too long
    if remote.size is not None and file.tell() < remote.size:
        raise ConnectionError(f"the line broke after {file.tell()} bytes")


def _stream(remote: RemoteFile, start: int) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of a file from `start` on, or from 0 where the server cannot do otherwise."""
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    session, options = get_session(), {"headers": headers, "timeout": SILENCE}
    # Either client keeps the token from other hosts when redirected.
    if callable(session.stream):  # httpx, since huggingface_hub 1.0; a setting of requests before
        opened = session.stream("GET", remote.url, follow_redirects=True, **options)
    else:
        opened = session.get(remote.url, stream=True, **options)
    with opened as response:
        hf_raise_for_status(response)
        offset = start if response.status_code == 206 else 0
        given = response.headers.get("Content-Range", "")
        if offset and not given.startswith(f"bytes {offset}-"):
            raise ConnectionError("the server sent another part than it was asked for")
        raw = hasattr(response, "iter_raw")
        for chunk in response.iter_raw() if raw else response.iter_content(CHUNK_BYTES):
            yield offset, chunk
            offset += len(chunk)


def _write(file: io.FileIO, offset: int, chunk: bytes) -> None:
    """Writes at an offset, and cuts off what was behind it: a server may begin again."""
    with disk_errors():
        if offset != file.tell():
            file.truncate(offset)
            file.seek(offset)
        rest = memoryview(chunk)
        while rest:
            rest = rest[file.write(rest) :]


def _sha256(path: Path, tick: Tick) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            tick()
            digest.update(block)
    return digest.hexdigest()
