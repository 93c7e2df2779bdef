"""What pip does when the pack comes to an environment that has ComfyUI.

`python -m devtools.manager_install` installs for real and runs a template there.
"""

from __future__ import annotations

import pytest

from devtools.layout import ROOT
from devtools.manager_install import (
    TORCH,
    NoRegistry,
    claimed_environment,
    closure,
    comfyui_packages,
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
