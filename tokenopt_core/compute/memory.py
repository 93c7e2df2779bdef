"""Computation in chunks: fewer images at once when memory runs out, or one after the other.

Images do not depend on those beside them, so what comes out is the same up to the rounding of the
last digits, which differs with the size of a batch.

Axes: a row is an image, or what becomes one.
"""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]  # done, total; what it raises ends the work

# Of plain RuntimeErrors: accelerators without a class of their own for it, CUDA's libraries,
# torch's CPU memory (by system), and oneDNN, whose words are the same for other reasons: then less
# does not help either.
_WORDS = ("out of memory", "not enough gpu video", "cublas_status_alloc", "cudnn_status_alloc")
_WORDS += ("can't allocate memory", "not enough memory")
_WORDS += ("could not create a primitive", "could not create a memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of a device or the computer, did not suffice."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _WORDS)


class Chunks:
    """How many rows are computed at once, `most`: half as many from the moment memory runs out.

    Args:
        most: 1 or more.
    """

    def __init__(self, most: int):
        self.most = most

    def parts(self, total: int, work: Callable[[slice], T]) -> Iterator[tuple[slice, T]]:
        """Which of `total` rows, and what `work` makes of them, a chunk at a time and in order.

        What `work` raises ends it; running out of memory does so with a single row only.

        Args:
            work: is called again with the first half of the rows where memory did not suffice.
        """
        first = 0
        while first < total:
            rows = slice(first, min(first + self.most, total))
            try:
                result = work(rows)
            except Exception as error:
                if rows.stop - rows.start == 1 or not is_out_of_memory(error):
                    raise
            else:
                first = rows.stop
                yield rows, result
                del result  # or it would be there beside the next one
                continue
            # Not inside `except`: the error holds all that `work` had made.
            self._halve(rows.stop - rows.start)

    def _halve(self, tried: int) -> None:
        self.most = max(1, tried // 2)
        log.warning(
            "Memory did not suffice for %d images at once: going on with %d, which gives the same "
            "result.",
            tried,
            self.most,
        )


def in_chunks(work: Callable[..., Tensor], chunk_size: int, *rows: Tensor) -> Tensor:
    """`work(*rows)`, computed for so many rows at a time.

    Where a gradient is asked for, each chunk is computed again in the backward pass, so that no
    more than one chunk's activations are ever in memory. That costs a second forward pass.

    Args:
        work: one row of the result for each row, and no random numbers in it.
        chunk_size: rows of a chunk; 0 is all, in one plain call.
        rows: tensors of the same length.
    """
    if not chunk_size:
        return work(*rows)
    recompute = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in rows)
    results = []
    for chunk in zip(*(tensor.split(chunk_size) for tensor in rows), strict=True):
        results.append(_checkpointed(work, *chunk) if recompute else work(*chunk))
    return torch.cat(results)


def _checkpointed(work: Callable[..., Tensor], *rows: Tensor) -> Tensor:
    from torch.utils.checkpoint import checkpoint

    return checkpoint(work, *rows, use_reentrant=False, preserve_rng_state=False)


def release_free_memory() -> None:
    """Gives memory that was freed, but is held for reuse, back to the system.

    Without it a server keeps 150 to 230 MB more after runs on a CPU. Only the C library glibc, that
    of most Linux systems, holds so much; elsewhere nothing is done.
    """
    libc = ctypes.CDLL(None) if sys.platform.startswith("linux") else None  # the one in use
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
