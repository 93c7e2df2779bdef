"""The requirement files: what users get, and what developers get."""

from __future__ import annotations

import re

from devtools.comfyui.layout import ROOT
from tokenopt_core import checks as packages


def _lines(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_what_manager_installs_is_what_pyproject_says():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[(.*?)\]", project, re.MULTILINE | re.DOTALL)
    assert sorted(re.findall(r'"([^"]+)"', block[1])) == sorted(_lines("requirements.txt"))


def test_a_library_without_its_requirements_file_names_them_all(monkeypatch, tmp_path):
    monkeypatch.setattr(packages, "__file__", str(tmp_path / "tokenopt_core" / "packages.py"))
    names = packages.install_command().partition(" -m pip install ")[2].split()
    assert sorted(names) == sorted(_lines("requirements.txt"))


def test_requirements_of_users_leave_their_versions_alone():
    for line in _lines("requirements.txt"):
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", line), f"{line}: names only, no versions"
        assert not line.lower().startswith("torch")


def test_development_requirements_are_all_pinned():
    for line in _lines("requirements-dev.txt"):
        assert re.match(r"[A-Za-z0-9_.-]+==[0-9.]+(; python_version .*)?$", line)
    pinned = {line.split("==")[0].lower() for line in _lines("requirements-dev.txt")}
    assert {line.lower() for line in _lines("requirements.txt")} <= pinned
