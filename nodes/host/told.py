"""What a node raises, in letters that ComfyUI's log can take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ...tokenopt_core.checks import writable


@contextmanager
def told() -> Iterator[None]:
    """Errors pass as they are, except those that quote a letter which the log cannot write, or come
    of such: they come with its escape, and without the errors that led to them."""
    try:
        yield
    except Exception as error:
        if all(writable(text) == text for text in _messages(error)):
            raise
        if writable(str(error)) == str(error):
            raise error from None  # of its own kind: ComfyUI knows cancels and full memory by it
        kind = ValueError if isinstance(error, ValueError) else RuntimeError
        raise kind(writable(str(error))).with_traceback(error.__traceback__) from None


def _messages(error: BaseException | None) -> Iterator[str]:
    """Of an error and of those that led to it, all of which the log shows."""
    while error is not None:
        yield str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
