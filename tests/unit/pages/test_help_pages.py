"""Every node has a help page; released ones have a picture in it, and a line in docs/nodes.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from PIL import Image

from devtools.release.contract import CONTRACT

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "web" / "docs"
PICTURE = re.compile(r"!\[([^\]]+)\]\(([^)]+)\)")


def shown_names() -> dict[str, str]:
    """Node id -> the name that it is shown under, from the schemas in nodes/."""
    found = {}
    for path in (ROOT / "nodes").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call):
                said = {k.arg: k.value.value for k in call.keywords if _constant(k.value)}
                if "node_id" in said:
                    found[said["node_id"]] = said["display_name"]
    return found


def _constant(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant)


NAMES = shown_names()


def test_the_nodes_are_found():
    assert len(NAMES) >= 40
    assert NAMES["TokenOpt_Optimize"] == "Token Optimizer"


@pytest.mark.parametrize("node", sorted(NAMES))
def test_the_page_has_the_node_s_name_and_its_picture(node):
    page = (DOCS / f"{node}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {NAMES[node]}\n")
    pictures = PICTURE.findall(page)
    if not pictures and node not in CONTRACT:
        return
    ((words, path),) = pictures
    assert path == f"images/{node}.webp"  # relative to web/docs, as the help panel reads it
    assert len(words.split()) >= 4, "who cannot see the picture should know what it shows"
    for translated in DOCS.glob(f"{node}/*.md"):
        pictures = PICTURE.findall(translated.read_text(encoding="utf-8"))
        assert [place for _, place in pictures] == [path], translated.name


def test_the_pictures_are_small_and_all_used():
    pictures = {path.stem: path for path in (DOCS / "images").iterdir()}
    assert set(CONTRACT) <= set(pictures) <= set(NAMES)
    for path in pictures.values():
        assert path.stat().st_size <= 40_000
        with Image.open(path) as picture:
            assert picture.format == "WEBP"
            assert picture.width == 640
    assert sum(path.stat().st_size for path in pictures.values()) <= 1_000_000


def test_every_picture_has_a_recipe():
    from devtools.help_pictures.__main__ import OVERVIEW, RECIPES

    pictures = {path.stem for path in (DOCS / "images").iterdir()}
    assert {f"TokenOpt_{name}" for name in RECIPES if name != "overview"} == pictures
    assert OVERVIEW.is_file()


def test_a_sheet_has_room_for_wide_pictures_and_long_words():
    from devtools.help_pictures.sheet import MARGIN, PAPER, Tile, draw

    wide, square = Image.new("RGB", (300, 100), "red"), Image.new("RGB", (64, 64), "blue")
    words = "a rather long label that needs several lines"
    sheet = draw([[Tile(wide, words), Tile("a" * 60), Tile(square, caption=words)], [Tile(square)]])
    assert sheet.width == 640
    for x in (MARGIN // 2, sheet.width - MARGIN // 2):
        assert {sheet.getpixel((x, y)) for y in range(sheet.height)} == {PAPER}
    reds = [sheet.getpixel((x, y))[0] > 200 for y in range(sheet.height) for x in range(0, 640, 9)]
    assert any(reds)


def test_the_list_of_nodes_is_complete():
    page = (ROOT / "docs" / "nodes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[([^\]]+)\]\(\.\./web/docs/(\w+)\.md\) \| .+ \|$", page, flags=re.M)
    listed = {node: name for name, node in rows}
    assert len(rows) == len(listed)
    assert set(CONTRACT) <= set(listed)
    assert listed.items() <= NAMES.items()
