"""Memory that a CPU keeps from one step of an optimization to the next."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Parameters of mallopt(3), and the values that glibc itself ends at after freeing a large block:
# from then on it no longer learns, so nothing smaller may be left behind.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_LARGEST_MMAP_THRESHOLD = 32 * 2**20
_KEEP = 2**30


@contextmanager
def steady_memory() -> Iterator[None]:
    """Freed memory stays with the process for the next step, up to 1 GiB; afterwards it goes back.

    Else every step gets its activations as fresh pages, which the system clears first: a tenth of
    a step of TiTok-L-32 (benchmarks/LOG.md). Only where the C library is glibc, that is on most
    Linux systems; elsewhere nothing is done.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    libc.mallopt(_TRIM_THRESHOLD, _KEEP)
    libc.mallopt(_TOP_PAD, 4 * _LARGEST_MMAP_THRESHOLD)
    try:
        yield
    finally:
        libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_MMAP_THRESHOLD)
        libc.mallopt(_TOP_PAD, 0)
        give_back()


def give_back() -> None:
    """Free memory that the process still holds goes back to the system, where glibc can do that."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)  # the library that the process runs on
    return libc if hasattr(libc, "gnu_get_libc_version") else None
