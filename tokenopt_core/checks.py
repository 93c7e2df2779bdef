"""Words for what is not known or not wanted: messages quote it, but never a megabyte of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from reprlib import Repr

SUGGESTIONS = 3
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxlevel = 3


def shown(value: object) -> str:
    """`repr(value)`, cut where it is long: what a message can quote of anything that JSON holds."""
    return _SHORT.repr(value)


def writable(text: str) -> str:
    """`text` as this program's output takes it: letters that its encoding lacks become escapes.

    ComfyUI's log is strict: a message that it cannot write ends the thread that runs all prompts.
    """
    for stream in (sys.stdout, sys.stderr):
        encoding = getattr(stream, "encoding", None) or "utf-8"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def nearest(name: str, known: Sequence[str]) -> str:
    """The three known names that look most like `name`, as in "a, b, c"; else the first three."""
    by_key = {each.lower(): each for each in known}
    matches = get_close_matches(name.lower()[:100], by_key, SUGGESTIONS, cutoff=0.2)
    return ", ".join([by_key[match] for match in matches] or known[:SUGGESTIONS])
