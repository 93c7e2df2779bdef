"""Lighting and focus sit in one token each: copied between scenes it changes that and little else.

docs/science/tokens.md has the figures of more pairs. Raise the floors with better weights, never
lower them.
"""

from __future__ import annotations

import pytest
import torch

from benchmarks.scenes import NAMES
from benchmarks.tokens.choosing import by_equation, clip_classes, clip_features
from benchmarks.tokens.copying import CELLS, copied, draw_scenes, pairs
from tokenopt_core import load_guide, load_tokenizer

SEED = 490_000_000  # nothing else draws from it
POSITIONS = {"light": 6, "focus": 15}
PAIRS = 24
CARRIED = [cell for cell in CELLS if cell.name in POSITIONS]
FLOORS = {
    "bright → dark": (0.95, 0.90),
    "dark → bright": (0.95, 0.90),
    "sharp → blurred": (0.95, 0.90),
    "blurred → sharp": (0.85, 0.90),
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("demo")


@pytest.fixture(scope="module")
def held(tokenizer):
    return draw_scenes(tokenizer, 96, SEED)


def test_equation_1_names_the_positions_with_true_classes_and_with_clips(held):
    guide = load_guide("demo")
    features = clip_features(guide, held, SEED)
    for name, position in POSITIONS.items():
        true = held.rows[:, NAMES.index(name)]
        for classes in (true, clip_classes(guide, features, name)):
            found = by_equation(held, classes, name)
            assert found.best(1) == [position]
            assert found.scores[position] > 3 * found.chance


@pytest.mark.parametrize("cell", CARRIED, ids=[f"{c.name}{c.before}" for c in CARRIED])
def test_the_one_token_carries_the_attribute_and_little_else(tokenizer, held, cell):
    chosen = pairs(held, cell, PAIRS)
    assert len(chosen[0]) == PAIRS
    found = copied(tokenizer, cell, held, held, chosen, [POSITIONS[cell.name]])
    changed, kept = FLOORS[cell.label]
    assert sum(found.changed) / PAIRS >= changed
    assert sum(found.kept) / PAIRS >= kept
