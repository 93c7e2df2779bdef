"""Types of the library for its users: pyrefly reads the examples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from devtools.comfyui.layout import ROOT

EXAMPLES = ROOT / "docs" / "examples"
USE = """
from typing import assert_type

from torch import Tensor

from tokenopt_core import OptimizeConfig, Quantized, load_tokenizer, optimize, render

tokenizer = load_tokenizer("demo")
features = tokenizer.encode({images})
assert_type(features, Tensor)


def redness(pictures: Tensor) -> Tensor:
    return pictures[:, 0].mean((1, 2))


for step in optimize(tokenizer, redness, features, OptimizeConfig({setting}=3)):
    assert_type(step.images, Tensor)
assert_type(render(tokenizer, features), tuple[Tensor, Quantized])
"""


def errors(*files: Path) -> list[str]:
    command = [sys.executable, "-m", "pyrefly", "check", "--preset", "default"]
    command += ["--python-interpreter-path", sys.executable, "--output-format", "min-text"]
    for folder in (ROOT, EXAMPLES / "api", EXAMPLES / "library"):
        command += ["--search-path", str(folder)]
    done = subprocess.run(
        [*command, *map(str, files)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
    assert (done.returncode == 0) == (not found), done.stdout + done.stderr
    return found


def test_the_examples_have_no_type_error(tmp_path):
    """And a use of the library that is wrong has, in both wrong places."""
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(
        "import torch\n" + USE.format(images="torch.rand(1, 3, 64, 64)", setting="steps")
    )
    assert errors(right, EXAMPLES / "api", EXAMPLES / "library", EXAMPLES / "tour.py") == []
    wrong.write_text(USE.format(images='"a.png"', setting="stepz"))
    assert [
        "bad-argument-type" in line or "unexpected-keyword" in line for line in errors(wrong)
    ] == [
        True,
        True,
    ]
