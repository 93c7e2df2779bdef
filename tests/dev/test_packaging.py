"""The library as an installed package: all of tokenopt_core, its demo models, and nothing else."""

from __future__ import annotations

import subprocess
import sys

from devtools.comfyui.layout import ROOT

PARTS = ("pyproject.toml", "README.md", "LICENSE", "__init__.py", "nodes", "devtools")
LIBRARY = "tokenopt_core"


def tracked(*paths: str) -> list[str]:
    command = ["git", "ls-files", "-z", *paths]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    return [name for name in listed.decode().split("\0") if name]


def test_what_is_built_is_the_library_with_its_data(tmp_path):
    source, built = tmp_path / "source", tmp_path / "built"  # a copy: a build leaves files behind
    for name in tracked(*PARTS, LIBRARY):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-c", "import setuptools; setuptools.setup()", "build_py"]
    ran = subprocess.run(
        [*build, "--build-lib", built], cwd=source, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    files = {path.relative_to(built).as_posix() for path in built.rglob("*") if path.is_file()}
    assert files == set(tracked(LIBRARY))
