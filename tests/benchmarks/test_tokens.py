"""The machinery behind docs/science/tokens.md on a handful of scenes."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image

from benchmarks.scenes import NAMES
from benchmarks.tokens import __main__ as tokens
from benchmarks.tokens.copying import CELLS, Scenes, copied, draw_scenes, merged, pairs
from tokenopt_core import load_tokenizer

LIGHT = next(cell for cell in CELLS if cell.label == "bright → dark")


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("demo")


@pytest.fixture(scope="module")
def scenes(tokenizer):
    return draw_scenes(tokenizer, 24, 495_000_000)


def test_every_attribute_has_its_cells():
    assert [cell.label for cell in CELLS if cell.name == "size"] == [
        "small → large",
        "large → small",
    ]
    assert [cell.label for cell in CELLS if cell.name == "shape"] == ["shape"]
    assert len(CELLS) == 11


def test_pairs_are_well_reconstructed_and_differ_as_asked(scenes):
    for cell in CELLS:
        targets, references = pairs(scenes, cell, 5)
        column = scenes.rows[:, NAMES.index(cell.name)]
        assert 0 < len(targets) == len(references) <= 5
        assert scenes.good[targets].all()
        assert scenes.good[references].all()
        assert (column[targets] != column[references]).all()
        if cell.before is not None:
            assert (column[targets] == cell.before).all()
        assert len(set(targets.tolist())) == len(targets)
        assert len(set(references.tolist())) == len(references)


def test_copying_all_tokens_gives_the_reference_and_none_the_target(tokenizer, scenes):
    chosen = pairs(scenes, LIGHT, 4)
    everything = copied(tokenizer, LIGHT, scenes, scenes, chosen, range(16))
    assert all(everything.changed)
    nothing = copied(tokenizer, LIGHT, scenes, scenes, chosen, [])
    assert not any(nothing.changed)
    assert nothing.kept == [1.0] * 4
    assert all(nothing.valid)
    assert merged([everything, nothing]).changed == [True] * 4 + [False] * 4


def test_kept_counts_the_seven_others(tokenizer, scenes):
    chosen = pairs(scenes, LIGHT, 4)
    rows = (scenes.rows + 1) % 2  # no target shows these, or few do
    other = Scenes(rows, scenes.tokens, scenes.good)
    found = copied(tokenizer, LIGHT, other, scenes, chosen, [])
    same = (rows == scenes.rows)[chosen[0]].float()
    same[:, NAMES.index("light")] = 0
    assert torch.allclose(torch.tensor(found.kept), same.sum(1) / 7)


def test_a_quick_run_writes_the_page(tmp_path):
    assert tokens.main(["--quick", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "tokens.md").read_text(encoding="utf-8")
    for part in ("# What one token carries", "## The targets", "## The shipped tokenizer",
                 "| bright → dark |", "eq. 1 by CLIP", "was taught it"):  # fmt: skip
        assert part in page, part
    for table in [part for part in page.split("\n\n") if part.startswith("| ")]:
        assert len({line.count("|") for line in table.splitlines()}) == 1, table
    figures = json.loads((tmp_path / "tokens.json").read_text(encoding="utf-8"))["shipped"]
    assert {cell["change"] for cell in figures["cells"]} == {"bright → dark", "dark → bright"}
    with Image.open(tmp_path / "tokens_shipped.png") as picture:
        assert picture.height >= 3 * 64
