"""Effects of pip when the pack comes to an environment that has ComfyUI.

`python -m devtools.release.manager_install` installs for real and runs a template there.
"""

from __future__ import annotations

import ast
import sys
from importlib.metadata import packages_distributions

import pytest
from packaging.utils import canonicalize_name

from devtools.comfyui.layout import ROOT, comfyui_folder
from devtools.release.archive import archive_files
from devtools.release.manager_install import (
    TORCH,
    NoRegistry,
    claimed_environment,
    closure,
    comfyui_packages,
    requirement_lines,
    would_install,
)


def test_nothing_that_comfyui_has_is_touched(tmp_path):
    """One call of pip with all lines: what it would install is new, all of it."""
    present = set(comfyui_packages())
    assert {"torch", "torchvision", "transformers", "numpy"} <= present
    assert "open-clip-torch" not in present
    python = claimed_environment(tmp_path / "environment")
    try:
        new = set(would_install(python, "-r", str(ROOT / "requirements.txt")))
    except NoRegistry as problem:
        pytest.skip(f"needs the package registry: {problem}")
    assert "open-clip-torch" in new
    assert not new & present
    assert not new & set(TORCH)


def test_extras_and_markers_are_followed():
    assert "huggingface-hub" in closure(["transformers"])
    assert "pytest" not in closure(["transformers"])
    assert closure(["a-package-that-is-not-there"]) == {}


def test_all_that_is_imported_is_there_after_an_install():
    """From ComfyUI or requirements.txt, not just from what this environment happens to have."""
    there = {*comfyui_packages(), *closure(requirement_lines(ROOT / "requirements.txt"))}
    found = packages_distributions()
    of_comfyui = {path.stem for path in comfyui_folder().iterdir()}
    files = [name for name in archive_files() if name.endswith(".py") and name[:5] != "docs/"]
    for name in files:
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        for module in _absolute_imports(tree) - of_comfyui - set(sys.stdlib_module_names):
            packages = {canonicalize_name(package) for package in found.get(module, ())}
            assert packages & there, f"{name} imports {module}: of which package?"


def _absolute_imports(tree: ast.Module) -> set[str]:
    """The first names of all modules that are imported anywhere in a file, not relatively."""
    found = set()
    for each in ast.walk(tree):
        if isinstance(each, ast.Import):
            found |= {alias.name.split(".")[0] for alias in each.names}
        elif isinstance(each, ast.ImportFrom) and not each.level:
            found.add(each.module.split(".")[0])
    return found
