"""What a node raises, in letters that ComfyUI's log can take."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from ..tokenopt_core.names import writable


@contextmanager
def told() -> Iterator[None]:
    """Errors pass as they are, except those that quote a letter which the log cannot write: they
    come with its escape, and without the errors that led to them."""
    try:
        yield
    except Exception as error:
        if writable(text := "".join(traceback.format_exception(error))) == text:
            raise
        kind = ValueError if isinstance(error, ValueError) else RuntimeError
        raise kind(writable(str(error))).with_traceback(error.__traceback__) from None
