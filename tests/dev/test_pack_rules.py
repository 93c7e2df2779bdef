"""Rules of well-behaved packs that need no server; `devtools.release.registry check` is wider."""

from __future__ import annotations

import re

import pytest

from devtools.comfyui.layout import ROOT
from devtools.release.archive import archive_files
from devtools.release.comfy_test import lint_problems, run_problems

PYTHON = [name for name in archive_files() if name.endswith(".py")]
SCRIPTS = [name for name in archive_files() if name.endswith(".js")]


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_a_windows_console_can_show_every_line_of_code():
    """Its old code page: a traceback with another letter ends in a second error."""
    for name in PYTHON:
        _text(name).encode("cp1252")


def test_no_device_is_named():
    for name in PYTHON:
        found = re.findall(
            r"\.cuda\(|\.to\(\s*[\"']cuda|torch\.cuda\.empty_cache|cuda\.amp", _text(name)
        )
        assert not found, f"{name}: {found}"


def test_nodes_leave_precision_and_layers_to_the_library():
    for name in PYTHON:
        if name.startswith("nodes/"):
            assert not re.search(r"\bnn\.(?!Parameter)[A-Z]\w+\(|autocast\(", _text(name)), name


def test_the_front_ends_part_has_names_of_its_own():
    """All packs share one page: names of extensions, classes of styles, and nothing global."""
    for name in SCRIPTS:
        text = _text(name)
        for extension in re.findall(r"registerExtension\(\{\s*name: \"([^\"]+)\"", text):
            assert extension.startswith("tokenopt."), name
        assert not re.search(r"\b(window|globalThis)\.\w+ = ", text), name
        for style in re.findall(r"const CSS = `(.*?)`", text, re.DOTALL):
            # The selector of each rule, in and out of @container.
            selectors = re.findall(r"(?:^|[{}])\s*([^@{};]+)\{", style)
            assert selectors
            for part in ",".join(selectors).split(","):
                assert ".tokenopt-" in part, f"{name}: {part}"


LINT = """Unicode check: OK (all characters cp1252-safe)
[javascript] scanning web/ (12 .js files)
  [ERROR] js/a.js:1 {rule} -- why
[SYNTAX] FAILED
  tokenopt_core/optimize/precision.py:
    Line 61: torch.autocast()
  {file}:
    Line 9: nn.Linear()
[JAVASCRIPT] FAILED
"""
RUN = """[warnings] {warning} -- weights outside the pack
[WARNINGS] PASSED
[HAZARDS] PASSED
[REGISTRATION] {registration}
"""


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"rule": "global-write"}, ["js/a.js:1 global-write: why"]),
        ({"file": "nodes/optimize/run.py"}, ["nodes/optimize/run.py: Line 9: nn.Linear()"]),
    ],
)
def test_what_comfy_test_flags_rightly_is_told(changes, found):
    said = {"rule": "shared-dom-injection", "file": "tokenopt_core/compute/attention.py", **changes}
    assert lint_problems(LINT.format(**said)) == found


def test_a_level_of_comfy_test_that_did_not_run_is_told():
    assert run_problems(RUN.format(warning="weights", registration="PASSED")) == []
    assert run_problems(RUN.format(warning="abs-paths", registration="FAILED")) == [
        "[REGISTRATION] FAILED",
        "level REGISTRATION did not pass",
        "abs-paths: weights outside the pack",
    ]
    assert "did not check" in lint_problems("nothing")[0]
