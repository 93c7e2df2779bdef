"""docs/threat_model.md: every line names tests, and they are there; two guards of its own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat_model.md").read_text(encoding="utf-8")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")]
ROWS = [line for line in ROWS if not line.startswith(("| can try to", "| ---"))]
# What turns text into a page or a program; texts come from workflows.
DANGEROUS = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc"


def names_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {item.name for item in ast.walk(tree) if isinstance(item, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:40])
def test_every_line_has_what_stops_it_and_a_test(row):
    threat, guard, tests = (cell.strip() for cell in row.strip("|").split(" | "))
    assert threat
    assert guard
    assert TEST.search(tests), "no test is named"


def test_the_named_tests_are_there():
    named = TEST.findall(PAGE)
    assert len(ROWS) > 25
    assert len(named) > 40
    missing = [f"{file}::{name}" for file, name in named if name not in names_in(file)]
    assert not missing


def test_no_script_writes_html_or_runs_text():
    scripts = list((ROOT / "web").rglob("*.js"))
    assert scripts
    found = [path.name for path in scripts if re.search(DANGEROUS, path.read_text("utf-8"))]
    assert not found


def test_the_pack_has_no_exception_from_the_security_rules():
    """None by a comment in the code; none by its folder in pyproject.toml."""
    files = [*(ROOT / "nodes").rglob("*.py"), *(ROOT / "tokenopt_core").rglob("*.py")]
    spared = [path.name for path in files if re.search(r"noqa:?.*\bS\d", path.read_text("utf-8"))]
    assert not spared
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lint = settings.split("[tool.ruff.lint]")[1].split("[tool.ruff.lint.isort]")[0]
    assert re.search(r'select = \[[^]]*"S"', lint)
    assert "nodes" not in lint
    assert "tokenopt_core" not in lint
    assert not re.search(r"^ignore", lint, flags=re.M)
