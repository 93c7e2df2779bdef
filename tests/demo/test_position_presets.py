"""The presets of the demo tokenizer do what they say, by the judge."""

from __future__ import annotations

import pytest

from benchmarks.tokens import copying
from tokenopt_core import load_tokenizer
from tokenopt_core.tokens.positions import PRESETS

PAIRS = 24
SHOWS = {"lighting": "light", "blur": "focus", "object position": "position"}


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("demo")


@pytest.fixture(scope="module")
def held(tokenizer):
    return copying.draw_scenes(tokenizer, 72, seed=510_000_000)


def test_every_preset_is_measured():
    assert set(PRESETS["demo"]) == set(SHOWS)


@pytest.mark.parametrize("preset", SHOWS)
def test_a_preset_carries_its_property(tokenizer, held, preset):
    for cell in copying.CELLS:
        if cell.name != SHOWS[preset]:
            continue
        chosen = copying.pairs(held, cell, PAIRS)
        positions = PRESETS["demo"][preset]
        found = copying.copied(tokenizer, cell, held, held, chosen, positions)
        count = len(found.changed)
        assert count >= 12, cell
        assert sum(found.changed) / count >= 0.8, cell
        assert sum(found.kept) / count >= 0.8, cell
