"""Words for a name that is not known."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

SUGGESTIONS = 3


def nearest(name: str, known: Sequence[str]) -> str:
    """The three known names that look most like `name`, as in "a, b, c"; else the first three."""
    by_key = {each.lower(): each for each in known}
    matches = get_close_matches(name.lower()[:100], by_key, SUGGESTIONS, cutoff=0.2)
    return ", ".join([by_key[match] for match in matches] or known[:SUGGESTIONS])
