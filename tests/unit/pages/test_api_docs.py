"""The library's docstrings, and the pages that are made of them."""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator

from devtools.pages.api_pages import MODULES, OVERVIEW, THEMES, build, overview

PACKAGE = importlib.import_module("tokenopt_core")
DEMO = importlib.import_module("tokenopt_core.demo")
SHAPE = r"\((\d|[a-z])\w*( or \w+)?( \* \w)?,[^)]*\)|any shape"


def public() -> Iterator[tuple[str, object]]:
    """Name and value of every public name, and of every public method and property."""
    named = [(name, getattr(PACKAGE, name)) for name in PACKAGE.__all__]
    named += [(f"demo.{name}", getattr(DEMO, name)) for name in DEMO.__all__]
    for module in map(importlib.import_module, [f"tokenopt_core.{name}" for name in MODULES]):
        for name, value in vars(module).items():
            if not name.startswith("_") and inspect.getmodule(value) is module:
                named.append((f"{module.__name__}.{name}", value))
    for name, value in named:
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        yield name, value
        for member, inner in vars(value).items() if inspect.isclass(value) else ():
            inner = inner.fget if isinstance(inner, property) else inner
            inner = getattr(inner, "__func__", inner)
            if inspect.isfunction(inner) and not member.startswith("_"):
                yield f"{name}.{member}", inner


def complaint(thing: object) -> str:
    """What a docstring lacks: tensors have a shape in it, and an error that is raised is told."""
    text = thing.__doc__ or ""
    if not text or text.startswith(f"{thing.__name__}("):  # the second is what dataclass writes
        return "has no docstring"
    if not re.split(r"\n\s*\n", text.strip())[0].rstrip().endswith((".", ":")):
        return "does not begin with a sentence"
    if inspect.isclass(thing):
        return ""
    tensors = any("Tensor" in str(kind) for kind in thing.__annotations__.values())
    if tensors and not re.search(SHAPE, text):
        return "takes or gives tensors, but tells no shape"
    source = textwrap.dedent(inspect.getsource(thing))
    raises = re.search(r"^\s*raise (?!NotImplementedError)", source, re.MULTILINE)
    told = re.search(r"\braises?\b", text, re.IGNORECASE)
    return "does not say what it raises" if raises and not told else ""


def test_docstrings():
    found = {name: complaint(thing) for name, thing in public()}
    assert len(found) > 140
    assert {name: text for name, text in found.items() if text} == {}


def test_every_public_name_has_a_theme():
    placed = [name for names in THEMES.values() for name in names.split()]
    assert sorted(placed) == sorted(PACKAGE.__all__)


def test_the_overview_is_what_the_docstrings_say():
    """Otherwise: `python dev.py docs`."""
    assert OVERVIEW.read_text(encoding="utf-8") == overview()


def test_pdoc_has_no_complaint(tmp_path):
    assert build(tmp_path) == ""
    page = (tmp_path / "tokenopt_core.html").read_text(encoding="utf-8")
    assert all(f'id="{name}"' in page for name in PACKAGE.__all__)
