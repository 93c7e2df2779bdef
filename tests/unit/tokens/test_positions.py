"""Positions as people write them."""

from __future__ import annotations

import pytest

from tokenopt_core.tokens.positions import parse_positions


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("6", [6]),
        ("18, 31", [18, 31]),
        ("0-3, 7", [0, 1, 2, 3, 7]),
        ("0 - 2;5\n4", [0, 1, 2, 4, 5]),
        ("7 7-8, 7", [7, 8]),
        (" All ", list(range(32))),
    ],
)
def test_read(text, positions):
    assert parse_positions(text, 32) == positions


@pytest.mark.parametrize(
    "text", ["", " , ", "a", "3-", "-1", "1.5", "3--4", "1-2-3", "all, 3", "٣", "x" * 5000]
)
def test_not_positions(text):
    with pytest.raises(ValueError, match=r"^locked is .*expected whole numbers.*0 to 31") as error:
        parse_positions(text, 32, "locked")
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("text", ["32", "3, 99", "7-3", "0-32", "9" * 5000])
def test_not_there(text):
    with pytest.raises(ValueError, match=r"^positions contains .*tokens from 0 to 31") as error:
        parse_positions(text, 32)
    assert len(str(error.value)) < 300
