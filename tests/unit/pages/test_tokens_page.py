"""docs/tokens.md: its library code runs as printed, and the nodes it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import torch

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "tokens.md").read_text(encoding="utf-8")


def test_the_code_runs_and_the_text_gives_the_image_again():
    (code,) = re.findall(r"^## In Python\n+```python\n(.*?)```", PAGE, flags=re.S | re.M)
    names: dict[str, object] = {}
    with torch.no_grad():
        exec(compile(code, "docs/tokens.md", "exec"), names)  # noqa: S102
    assert len(names["film"]) == 24
    assert re.fullmatch(r"tok1\.demo\.[\w-]+", names["line"])
    original = names["tokenizer"].decode(names["tokens"])
    assert not torch.equal(names["copied"], original)
    assert not torch.equal(names["by_hand"], original)


def test_every_node_of_the_table_exists():
    (table,) = re.findall(r"^## What you can do with tokens\n+(.*?)\n\n", PAGE, flags=re.S | re.M)
    named = re.findall(r"(?:Token|TiTok|Save|Load|Text|Tokens)(?: (?:to|of a|[A-Z]\w+))+", table)
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "nodes").rglob("*.py"))
    shown = set(re.findall(r'display_name="([^"]+)",\n            category', sources))
    assert len(named) >= 11
    assert set(named) <= shown
