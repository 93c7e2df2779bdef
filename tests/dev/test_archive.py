"""The archive that users get: all that a pack needs to work and to explain itself, nothing else."""

from __future__ import annotations

import ast
import re
import subprocess

import pytest

from devtools.comfyui.layout import ROOT
from devtools.release.archive import IGNORED, archive_files, unpack

# A new name at the top belongs here if a user's ComfyUI or its user needs it, else in .comfyignore.
WANTED = {"__init__.py", "nodes", "tokenopt_core", "web", "workflows", "locales", "subgraphs"}
WANTED |= {"pyproject.toml", "requirements.txt"}  # nodes read the version; Manager installs
WANTED |= {"README.md", "CHANGELOG.md", "LICENSE", "docs", "examples"}  # for people
WHOLE = ("__init__.py", "nodes", "tokenopt_core", "web", "workflows", "pyproject.toml", "LICENSE")
SCANNED = {"http", "importlib", "requests", "socket", "sqlite3", "subprocess", "urllib"}
FORBIDDEN = {"eval", "exec", "compile", "__import__", "os.environ", "os.getenv", "os.system"}
MOST_BYTES = 20 * 2**20


@pytest.fixture(scope="module")
def files() -> list[str]:
    return archive_files()


def test_nothing_in_it_is_for_development_only(files):
    unknown = {name.split("/")[0] for name in files} - WANTED
    assert not unknown, f"{unknown}: in the archive, or named in {IGNORED}?"
    hidden = [
        name for name in files if re.search(r"(^|/)(\.|tests?/|test_|conftest|node_modules)", name)
    ]
    assert not hidden
    assert sum((ROOT / name).stat().st_size for name in files) < MOST_BYTES


def test_what_runs_is_whole(files):
    assert set(_git("ls-files", *WHOLE).splitlines()) <= set(files)


def test_every_line_of_comfyignore_leaves_something_out():
    """A line that has lost its file may be misspelt, and then lets something through."""
    tracked = _git("ls-files").splitlines()
    for line in (ROOT / IGNORED).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            assert line.startswith("/"), f"{line}: would leave out folders inside the pack too"
            assert any(f"/{name}".startswith(line) for name in tracked), line


def test_nothing_in_it_makes_the_registrys_scan_flag_it(files):
    """A flagged version is invisible. docs/publishing.md says why what is left is there."""
    for name in (name for name in files if name.endswith(".py")):
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [alias.name for alias in node.names]
                modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else modules
                assert not SCANNED & {module.split(".")[0] for module in modules}, name
            elif isinstance(node, ast.Attribute | ast.Name):
                assert ast.unparse(node) not in FORBIDDEN, name


def test_documents_are_in_it_only_if_a_reader_comes_to_them(files):
    """From README.md by links; the pictures that pages show must be there."""
    reached, waiting = set(), ["README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        for mark, link in _links(page):
            target = (ROOT / page).parent.joinpath(link).resolve().relative_to(ROOT).as_posix()
            assert target in files or not mark, f"{page} shows {link}, which is not in the archive"
            new = [name for name in files if name == target or name.startswith(f"{target}/")]
            waiting += [name for name in new if name.endswith(".md") and name not in reached]
            reached.update(new)
    assert not {name for name in files if name.startswith("docs/")} - reached


def test_help_pages_show_only_pictures_that_are_in_it(files):
    """The help panel looks for them from web/docs, also those of a page in a folder of it."""
    for page in (name for name in files if name.startswith("web/docs/") and name.endswith(".md")):
        for mark, link in _links(page):
            target = (ROOT / "web" / "docs" / link).resolve().relative_to(ROOT).as_posix()
            assert target in files or not mark, f"{page} shows {link}, which is not in the archive"


def test_an_archive_unpacks_to_the_same_bytes(archive, tmp_path, files):
    folder = unpack(archive, tmp_path / "pack")
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    assert sorted(found) == files
    for name, path in found.items():
        assert path.read_bytes() == (ROOT / name).read_bytes()


def test_what_git_does_not_know_stays_out(tmp_path):
    """A note, a secret, an environment in the folder must never reach the registry."""
    for name in ("kept.py", "tests/test_it.py", "secret.env", "nodes/tests/kept.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / IGNORED).write_text(f"# a comment\n/tests/\n/{IGNORED}\n")
    tracked = (IGNORED, "kept.py", "tests/test_it.py", "nodes/tests/kept.txt")
    for command in (["init", "--quiet"], ["add", *tracked]):
        _git(*command, folder=tmp_path)
    assert archive_files(tmp_path) == ["kept.py", "nodes/tests/kept.txt"]


def _links(page: str) -> list[tuple[str, str]]:
    """("!" for a picture, target) of the relative links of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"(!?)\[[^\]]*\]\(([^)\s#]+)[^)]*\)", text)
    found += [("!", source) for source in re.findall(r"<img[^>]+src=\"([^\"]+)\"", text)]
    return [(mark, link) for mark, link in found if "://" not in link]


def _git(*arguments: str, folder=ROOT) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout
