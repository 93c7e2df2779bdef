"""Markdown: tables, and pages that are written from sections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def table(
    head: Sequence[str], lines: Iterable[Sequence[str]], *, numbers_right: bool = True
) -> str:
    """A table; with `numbers_right` all columns but the first are aligned to the right."""
    rule = ["---"] + ["---:" if numbers_right else "---"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *lines))


def table_of(
    rows: Iterable[Any], columns: Mapping[str, Callable[[Any], str]], *, numbers_right: bool = True
) -> str:
    """A table with a line for each row; a column is its head and the cell of a row."""
    lines = ([cell(row) for cell in columns.values()] for row in rows)
    return table(list(columns), lines, numbers_right=numbers_right)


def write_page(path: Path, sections: Iterable[str]) -> str:
    """Writes the sections with empty lines between them; returns a line about it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return f"Written: {path}"
