"""Effects of an installation of the pack on an environment that has ComfyUI.

`python -m devtools.release.manager_install` does it: a copy of this environment is stripped to
what ComfyUI itself needs, gets the lines of requirements.txt one by one as ComfyUI Manager gives
them to pip, and runs a template out of the registry's archive. Some minutes, and no room on the
disk worth mentioning: the copy is made of hard links.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..comfyui.layout import DEV, ROOT, comfyui_folder
from ..comfyui.server import ComfyServer
from ..comfyui.template_files import api_graph
from ..steps import program
from .archive import pack, unpack

# ComfyUI 0.3.75 imports it without naming it; pip has to stay to be used.
KEPT = ("requests", "pip", "setuptools")
TORCH = ("torch", "torchvision", "torchaudio", "torchsde", "triton")
TEMPLATE = "text_edit"
PIP = ("install", "--disable-pip-version-check", "--no-input")


class NoRegistry(Exception):
    """The package registry did not answer."""


def requirement_lines(path: Path) -> list[str]:
    """What a requirements.txt asks for, a line each, as Manager reads it."""
    text = path.read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]


@cache
def comfyui_packages() -> dict[str, Distribution]:
    """What ComfyUI's own requirements.txt brings, with all that those need: name -> package."""
    lines = [*requirement_lines(comfyui_folder() / "requirements.txt"), *KEPT]
    return closure(lines)


def closure(lines: Iterable[str]) -> dict[str, Distribution]:
    """The packages of this environment that these requirements need, directly or not."""
    packages: dict[str, Distribution] = {}
    seen, waiting = set(), [Requirement(line) for line in lines]
    while waiting:
        wanted = waiting.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            package = distribution(name)
        except PackageNotFoundError:  # of another system, or left out by its user
            continue
        packages[name] = package
        for each in map(Requirement, package.requires or ()):
            cases = [{"extra": extra} for extra in ("", *extras)]
            if not each.marker or any(each.marker.evaluate(case) for case in cases):
                waiting.append(each)
    return packages


def claimed_environment(folder: Path) -> Path:
    """The Python of a new environment that has ComfyUI's packages by name only.

    pip decides by names, versions and needs, so it decides there as in a real one, in seconds.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = program(folder)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    for package in comfyui_packages().values():
        facts = Path(package._path)  # NAME-VERSION.dist-info
        shutil.copytree(facts, Path(done.stdout.strip()) / facts.name)
    return python


def would_install(python: Path, *requirements: str) -> dict[str, str]:
    """Name -> version of all that pip would install there; nothing is changed.

    Raises:
        NoRegistry: the package registry cannot be reached.
    """
    command = [sys.executable, "-m", "pip", "--python", str(python), *PIP, "--quiet"]
    options = ["--dry-run", "--retries", "1", "--report", "-"]
    done = subprocess.run([*command, *options, *requirements], capture_output=True, text=True)
    if done.returncode and re.search(r"connection|timed out|resolve host", done.stderr, re.I):
        raise NoRegistry(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        raise RuntimeError(done.stderr)
    installs = (item["metadata"] for item in json.loads(done.stdout)["install"])
    return {canonicalize_name(each["name"]): each["version"] for each in installs}


def copied_environment(folder: Path) -> Path:
    """The Python of a working copy of this environment, stripped to what ComfyUI needs."""
    shutil.copytree(sys.prefix, folder, symlinks=True, copy_function=os.link)
    python = program(folder)
    extra = sorted(set(versions(python)) - set(comfyui_packages()))
    _pip(python, "uninstall", "--yes", "--quiet", *extra)
    return python


def versions(python: Path) -> dict[str, str]:
    """Name -> version of what is installed there."""
    listed = _pip(python, "list", "--format", "json", "--disable-pip-version-check")
    return {canonicalize_name(each["name"]): each["version"] for each in json.loads(listed)}


def main() -> int:
    with tempfile.TemporaryDirectory(dir=DEV) as temporary:
        print("Copying this environment, with nothing in it but ComfyUI's packages ...", flush=True)
        python = copied_environment(Path(temporary, "environment"))
        before = versions(python)
        for line in requirement_lines(ROOT / "requirements.txt"):
            last = _pip(python, *PIP, line).strip().splitlines()[-1]
            print(f"  pip install {line}: {last[:120]}", flush=True)
        after = versions(python)
        new = {name: version for name, version in after.items() if name not in before}
        changed = {name: after.get(name) for name in before if after.get(name) != before[name]}
        print(f"before: {len(before)} packages. new: {new}. changed: {changed or 'none'}")
        print("torch:", {name: after[name] for name in TORCH if name in after})
        seconds = _run_template(Path(temporary, "base"), python)
    print(f"The template {TEMPLATE} ran in that environment in {seconds:.0f} s.")
    return 1 if changed else 0


def _run_template(base: Path, python: Path) -> float:
    """Seconds of a template's run by a ComfyUI of that environment, with the unpacked archive."""
    base.mkdir()
    unpack(pack(base / "node.zip"), base / "custom_nodes" / "tokenopt")
    log = DEV / "logs" / "manager-install.log"
    with ComfyServer(base, linked=False, python=python, log=log) as server:
        run = server.client().run(api_graph(TEMPLATE))
    if run.status != "success":
        raise RuntimeError(f"{TEMPLATE}: {run.error}; see {log}")
    return run.seconds


def _pip(python: Path, *arguments: str) -> str:
    command = [str(python), "-m", "pip", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"pip {' '.join(arguments)}: {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
