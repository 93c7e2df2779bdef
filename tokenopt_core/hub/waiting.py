"""Wait for the network in another thread, so that a cancel need not wait for it."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

Beat = Callable[[], None]
T = TypeVar("T")

BEAT_SECONDS = 0.2
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
