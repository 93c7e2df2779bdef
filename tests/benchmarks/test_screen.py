"""The comparison of partial searches, on a tiny tokenizer whose losses are all known."""

from __future__ import annotations

import pytest
import torch

from benchmarks.screen import page
from benchmarks.screen.methods import SCORES, Case
from tests.unit.conftest import tiny_tokenizer
from tokenopt_core.study.perturb import SearchConfig, perturb_search


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """Two positions of one image; the pool is every code, the present ones too."""
    tokenizer = tiny_tokenizer()
    codes = torch.tensor([3, 14, 15, 9, 26, 53])
    known = []
    for result in perturb_search(tokenizer, codes[None], [1, 4], SearchConfig(top_k=63)):
        losses = torch.zeros(64)
        losses[result.codes] = result.losses
        known.append(Case(tokenizer, codes, result.position, torch.arange(64), {"l1": losses}))
    return known


def rows(text: str) -> dict[str, list[str]]:
    lines = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines()]
    return {name: cells for name, *cells in lines[2:]}


def test_with_all_codes_every_method_holds_the_best(cases, monkeypatch):
    monkeypatch.setattr(page, "SHARES", (1.0,))
    table = rows(page._table(cases, "l1"))
    assert list(table) == [*SCORES, "guided"]
    assert all(cells[0].startswith("100 ") and cells[1] == "100" for cells in table.values())


def test_with_few_codes_knowing_beats_guessing(cases, monkeypatch):
    monkeypatch.setattr(page, "SHARES", (0.25,))
    table = rows(page._table(cases, "l1"))
    assert all(0 < float(cells[1]) <= 100 for cells in table.values())
    assert float(table["first order, image change"][1]) >= 90  # random weights: nearly linear
    assert float(table["guided"][1]) >= 80
