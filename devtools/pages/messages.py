"""Messages of the pack: `python -m devtools.pages.messages` lists what docs/troubleshooting.md
lacks of them, and has too much of.

A message is the text of a `raise`, or of a logged warning or error, in nodes/, tokenopt_core/ and
__init__.py, read from the source. What a message fills in when it is shown is one sign here: a gap.
"""

from __future__ import annotations

import ast
import itertools
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ..comfyui.layout import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
PACKAGES = ("nodes", "tokenopt_core")
LOGGED = {"warning", "error", "exception", "critical"}
GAP = "\N{HORIZONTAL ELLIPSIS}"
ROW = re.compile(r"^\| (?P<message>`.+`) \| (?P<cure>.*) \|$", re.M)
FORMAT = re.compile(r"%[-0-9.]*[a-zA-Z]")

# Caught where they are raised, and told in other words that are on the page.
NEVER_SHOWN = {"not sound", f"{GAP}0"}


def messages(root: Path = ROOT) -> dict[str, list[str]]:
    """Message -> where it is raised or logged, as "nodes/loaders/load.py:49"."""
    files = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    files += root.glob("__init__.py")
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in files}
    returned = {path: _returned([tree]) for path, tree in trees.items()}
    anywhere = _returned(trees.values())
    places: dict[str, list[str]] = defaultdict(list)
    for path, tree in trees.items():
        for function, spoken in _spoken(tree):
            for text in _texts(spoken, function, {**anywhere, **returned[path]}):
                text = " ".join(text.split())
                if re.search(r"\w", text) and text not in NEVER_SHOWN:
                    place = f"{path.relative_to(root).as_posix()}:{spoken.lineno}"
                    places[text].append(place)
    return dict(places)


def explained(page: str) -> dict[str, str]:
    """Message -> cure, of the tables of the page."""
    cells = ((row["message"], row["cure"].strip()) for row in ROW.finditer(page))
    return {cell.strip("`").strip().replace("\\|", "|"): cure for cell, cure in cells}


def row(message: str) -> str:
    """The line of the page for a message, without its cure."""
    ticks = "``" if "`" in message else "`"
    room = " " if ticks == "``" else ""
    escaped = message.replace("|", "\\|")
    return f"| {ticks}{room}{escaped}{room}{ticks} |  |"


def _spoken(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.expr]]:
    """Each function (or the module) with an expression whose value a user may read."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    stack: list[tuple[ast.AST, ast.AST]] = [(tree, tree)]
    while stack:
        function, node = stack.pop()
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            named = isinstance(node.exc.func, ast.Name) and node.exc.func.id[0].isupper()
            if not named:  # a function of ours that makes the error
                yield function, node.exc
            elif node.exc.args:
                yield function, node.exc.args[0]
        logs = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if logs and node.func.attr in LOGGED and _name(node.func.value) in ("log", "logger"):
            yield function, node.args[0]
        inside = node if isinstance(node, functions) else function
        stack += [(inside, child) for child in ast.iter_child_nodes(node)]


def _texts(node: ast.expr, function: ast.AST, returned: dict[str, list]) -> list[str]:
    """The texts that an expression can have, with gaps; [GAP] for one that the source hides."""

    def read(part: ast.expr) -> list[str]:
        return _texts(part, function, returned)

    match node:
        case ast.Constant(value=str(text)):
            return [FORMAT.sub(GAP, text)]
        case ast.JoinedStr(values=values):
            pieces = [[v.value] if isinstance(v, ast.Constant) else [GAP] for v in values]
            return ["".join(piece) for piece in itertools.product(*pieces)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [a + b for a in read(left) for b in read(right)]
        case ast.IfExp(body=body, orelse=orelse):
            return read(body) + read(orelse)
        case ast.Name(id=name):
            given = _assigned(function, name)
            return [text for value in given for text in read(value)] or [GAP]
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in returned:
            return [t for inner, v in returned[name] for t in _texts(v, inner, returned)] or [GAP]
        case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name[0].isupper():
            return read(first)  # an error that a function makes and gives back
    return [GAP]


def _assigned(function: ast.AST, name: str) -> list[ast.expr]:
    assigns = (node for node in ast.walk(function) if isinstance(node, ast.Assign))
    return [a.value for a in assigns if any(_name(target) == name for target in a.targets)]


def _returned(trees) -> dict[str, list[tuple[ast.AST, ast.expr]]]:
    """Function name -> what it returns, of all functions that say what they return."""
    returned: dict[str, list[tuple[ast.AST, ast.expr]]] = defaultdict(list)
    for tree in trees:
        for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
            returns = (n for n in ast.walk(function) if isinstance(n, ast.Return) and n.value)
            returned[function.name] += [(function, r.value) for r in returns]
    return returned


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def main() -> int:
    there = messages()
    page = explained(PAGE.read_text(encoding="utf-8")) if PAGE.is_file() else {}
    missing = {text: places for text, places in there.items() if text not in page}
    stale = [text for text in page if text not in there]
    bare = [text for text, cure in page.items() if not cure]
    for text, places in missing.items():
        print(f"{row(text)}  <- {', '.join(places)}")
    for text in stale:
        print(f"stale: {text}")
    for text in bare:
        print(f"no cure: {text}")
    print(f"{len(there)} messages; {len(missing)} missing, {len(stale)} stale, {len(bare)} bare.")
    return bool(missing or stale or bare)


if __name__ == "__main__":
    sys.exit(main())
