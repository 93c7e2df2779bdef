"""docs/troubleshooting.md: every message that it quotes is in the code, every problem has a fix.

A quoted message stands in backticks in the first cell of a row; it may be a part of the message. A
gap is what the message fills in.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
GAP = "\N{HORIZONTAL ELLIPSIS}"
ROW = re.compile(r"^\| (?P<problem>.+?) \| (?P<fix>.*) \|$", re.M)
NO_PROBLEM = {"problem", "---"}
FORMAT = re.compile(r"%[-0-9.]*[a-zA-Z]")


def texts(tree: ast.AST) -> Iterator[str]:
    """The texts that a program holds, with gaps; neither its docstrings nor its nodes' schemas."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Expr(value=ast.Constant()) | ast.FunctionDef(name="define_schema"):
                pass
            case ast.Constant(value=str(text)):
                yield FORMAT.sub(GAP, text)
            case ast.JoinedStr(values=values):
                yield "".join(v.value if isinstance(v, ast.Constant) else GAP for v in values)
                for value in values:  # what is filled in can hold texts too
                    yield from texts(value) if isinstance(value, ast.FormattedValue) else ()
            case _:
                yield from texts(node)


def said_by(root: Path) -> str:
    """All texts of the pack's code, a line each."""
    files = [root / "__init__.py", *(root / "nodes").rglob("*.py")]
    files += (root / "tokenopt_core").rglob("*.py")
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in files if path.is_file())
    return "\n".join(" ".join(text.split()) for tree in trees for text in texts(tree))


def rows() -> dict[str, str]:
    found = {row["problem"]: row["fix"].strip() for row in ROW.finditer(PAGE)}
    return {problem: fix for problem, fix in found.items() if problem not in NO_PROBLEM}


def test_every_quoted_message_is_in_the_code():
    said = said_by(ROOT)
    quoted = [text for problem in rows() for text in re.findall(r"`([^`]+)`", problem)]
    assert len(quoted) > 40
    assert [text for text in quoted if text not in said] == [], "no code says this any more"


def test_every_problem_has_a_fix():
    assert [problem for problem, fix in rows().items() if not fix] == []


def test_texts_are_read_from_the_code(tmp_path):
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes" / "some.py").write_text(
        '"""Not this one."""\n'
        "def define_schema():\n"
        "    return 'nor this'\n"
        "def check(name):\n"
        "    raise ValueError(f'{name} is wrong: ' + ('try again.' if name else 'give a name.'))\n"
        "def stop():\n"
        "    log.warning('%s of %d', f'{1 if 0 else \"two\"}', 2)\n"
    )
    said = ["GAP is wrong:", "try again.", "give a name.", "GAP of GAP", "GAP", "two"]
    assert said_by(tmp_path).replace(GAP, "GAP").splitlines() == said
