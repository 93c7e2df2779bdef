"""Links of the pages: files, headings, paths and modules that they name are there.

`CHANGELOG.md` and `benchmarks/LOG.md` are histories: they may name paths and modules that are gone,
but not link to them. All other pages speak of the repository as it is.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HELP = ROOT / "web" / "docs"
HISTORIES = ("CHANGELOG.md", "benchmarks/LOG.md")
PAGES = sorted(
    [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    + [
        path
        for folder in ("docs", "web/docs", "benchmarks")
        for path in (ROOT / folder).rglob("*.md")
    ]
)
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s[^)]*)?\)")
FENCE = re.compile(r"^( *)(```+).*?^\1\2[^\n`]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
# What begins with a folder of the repository, or ends like a source file, is a path of it; words in
# capitals (NAME) stand for something else.
ROOMS = "benchmarks|devtools|docs|locales|nodes|tests|tokenopt_core|training|web|workflows"
PLACE = re.compile(rf"(?<![\w/.-])(?:(?:{ROOMS})(?:/[\w.*-]+)+|[\w-]+(?:/[\w-]+)*\.py)(?![\w*])")
MODULE = re.compile(r"(?<!\S)(?:-m )?((?:benchmarks|devtools|training)(?:\.\w+)*)(?![\w/.])")
PLACEHOLDER = re.compile(r"[A-Z]{3,}")
ELSEWHERE = {
    "benchmarks/runs": "made by a run, not in git",
    "ComfyUI/custom_nodes/warm_loss/__init__.py": "a pack of the reader's own",
    "main.py": "ComfyUI's",
    "nodes/tokenopt/versions": "an address of the registry",
}


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@cache
def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """The page without code."""
    return CODE.sub("", FENCE.sub("", text(page)))


@cache
def anchors(page: Path) -> set[str]:
    """The fragments of the page's headings, as GitHub makes them."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", FENCE.sub("", text(page)), re.MULTILINE):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.replace("`", "").lower()).replace(" ", "-")
        count = found.get(slug, 0)
        found[slug] = count + 1
        if count:
            found[f"{slug}-{count}"] = 1
    return set(found)


def broken_links(page: Path) -> list[str]:
    """Relative links to files or headings that are not there."""
    folder = HELP if HELP in page.parents else page.parent  # as the help panel reads them
    broken = []
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (folder / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def unknown_places(page: Path) -> list[str]:
    """Paths of the repository in code that are not there."""
    code = [match[2] for match in CODE.finditer(FENCE.sub("", text(page)))]
    places = [place.rstrip(".") for part in code for place in PLACE.findall(part)]
    known = (place for place in places if place not in ELSEWHERE)
    return [each for each in known if not PLACEHOLDER.search(each) and not is_there(page, each)]


def is_there(page: Path, place: str) -> bool:
    """Whether a path leads from the root or from the page; a bare name, to any file of the name."""
    if any(list(folder.glob(place)) for folder in (ROOT, page.parent)):
        return True
    return "/" not in place and place in file_names()


@cache
def file_names() -> set[str]:
    """Names of all Python files of the repository."""
    folders = [ROOT / room for room in ROOMS.split("|")]
    return {path.name for folder in folders for path in folder.rglob("*.py")}


def unknown_modules(page: Path) -> list[str]:
    """Modules in code, such as `python -m devtools.demo`, that are not there."""
    parts = [match[0] for match in FENCE.finditer(text(page))]
    parts += [match[2] for match in CODE.finditer(FENCE.sub("", text(page)))]
    named = {module for part in parts for module in MODULE.findall(" ".join(part.split()))}
    return sorted(module for module in named if not module_is_there(module))


def module_is_there(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def test_every_page_is_walked():
    assert len(PAGES) > 100
    assert sum(len(LINK.findall(prose(page))) for page in PAGES) > 150
    assert sum(len(PLACE.findall(text(page))) for page in PAGES) > 50
    words = "\n".join(map(text, PAGES))
    assert [place for place in ELSEWHERE if place not in words] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings(page):
    assert broken_links(page) == []


@pytest.mark.parametrize("page", [page for page in PAGES if name(page) not in HISTORIES], ids=name)
def test_paths_and_modules_that_are_named_are_there(page):
    assert unknown_places(page) == []
    assert unknown_modules(page) == []


def test_what_leads_nowhere_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes" / "some.py").touch()
    other = tmp_path / "other.md"
    other.write_text("# One `two`: three!\n\n## Same\n\n## Same\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](gone.md) [c](other.md#one-two-three) [d](other.md#four) "
        "[e](https://x.y/z) `[f](code.md)` [g](other.md#same-1)\n\n"
        "`nodes/some.py` `nodes/gone.py` `nodes/NAME.py` `python -m devtools.gone`\n\n"
        "```\n[h](fenced.md)\npython -m benchmarks.gone\n```\n",
        encoding="utf-8",
    )
    assert broken_links(page) == ["gone.md", "other.md#four"]
    assert unknown_places(page) == ["nodes/gone.py"]
    assert unknown_modules(page) == ["benchmarks.gone", "devtools.gone"]
