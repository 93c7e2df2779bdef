"""Words for what is not known or not wanted: messages quote it, but never a megabyte of it."""

from __future__ import annotations

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


def nearest(name: str, known: Sequence[str]) -> str:
    """The three known names that look most like `name`, as in "a, b, c"; else the first three."""
    by_key = {each.lower(): each for each in known}
    matches = get_close_matches(name.lower()[:100], by_key, SUGGESTIONS, cutoff=0.2)
    return ", ".join([by_key[match] for match in matches] or known[:SUGGESTIONS])
