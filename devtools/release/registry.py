"""The pack as the registry sees it: `python -m devtools.release.registry check` or `... fill`.

`check` runs the registry's own tools on the last commit; they live in an environment of their own
(.dev/registry-tools), as what they need is of no concern to the pack's. See docs/publishing.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

from ..comfyui.layout import DEV, ROOT
from ..steps import program
from . import comfy_test
from .archive import archive_files
from .contract import unreleased
from .metadata import PYPROJECT, filled_in, read

TOOLS = ("comfy-cli==1.23.0", "comfy-test==0.4.15")
FOLDER = DEV / "registry-tools"
CLEAN = "All validation checks passed"
PARSED = """
import dataclasses, json
from comfy_cli.registry.config_parser import extract_node_configuration
print(json.dumps(dataclasses.asdict(extract_node_configuration())))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True, dest="command")
    commands.add_parser("check", help="validate, pack and comfy-test the last commit")
    fill = commands.add_parser("fill", help="write the publisher and the address into pyproject")
    fill.add_argument("publisher")
    fill.add_argument("repository", metavar="OWNER/NAME")
    options = parser.parse_args()
    if options.command == "check":
        return check()
    text = PYPROJECT.read_text(encoding="utf-8")
    PYPROJECT.write_text(filled_in(text, options.publisher, options.repository), encoding="utf-8")
    return 0


def check() -> int:
    tools = _tools()
    DEV.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DEV) as temporary:
        pack = Path(temporary, "pack")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(pack)], check=True)
        problems = [f"{node} is not in devtools/release/contract.py" for node in unreleased(ROOT)]
        problems += _validated(tools, pack, "as it is")
        archive = Path(temporary, "node.zip")
        problems += _packed(tools, pack, archive)
        _fill(pack / "pyproject.toml")
        problems += _validated(tools, pack, "filled in") + _understood(tools, pack)
        problems += comfy_test.check(tools / "comfy-test", archive, Path(temporary, "comfy-test"))
    for problem in problems:
        print(f"registry: {problem}")
    print("registry: clean" if not problems else f"registry: {len(problems)} problems")
    return bool(problems)


def _validated(tools: Path, pack: Path, state: str) -> list[str]:
    """Problems that `comfy node validate` has with the folder."""
    said = _comfy(tools, pack, "node", "validate")
    print(f"comfy node validate, {state}:\n{said}")
    return [] if CLEAN in said and "arning" not in said else [f"not valid {state}: {said}"]


def _packed(tools: Path, pack: Path, archive: Path) -> list[str]:
    """Problems with the archive of `comfy node pack`, which is moved to `archive`."""
    print(_comfy(tools, pack, "node", "pack"))
    (pack / archive.name).rename(archive)
    with zipfile.ZipFile(archive) as opened:
        inside = {name: opened.read(name) for name in opened.namelist()}
    size = archive.stat().st_size / 2**20
    print(f"{len(inside)} files, {size:.1f} MiB")
    wanted = {name: (pack / name).read_bytes() for name in archive_files(pack)}
    different = {name for name in inside.keys() | wanted if inside.get(name) != wanted.get(name)}
    return [
        f"comfy-cli and devtools.release.archive differ in {name}" for name in sorted(different)
    ]


def _understood(tools: Path, pack: Path) -> list[str]:
    """What pyproject.toml says and the registry's reader does not see."""
    written = read((pack / "pyproject.toml").read_text(encoding="utf-8"))
    project, comfy = written["project"], written["tool"]["comfy"]
    command = [str(tools / "python"), "-c", PARSED]
    done = subprocess.run(command, cwd=pack, capture_output=True, text=True, check=True)
    read_as = json.loads(done.stdout.splitlines()[-1])
    pairs = {
        "name": (read_as["project"]["name"], project["name"]),
        "version": (read_as["project"]["version"], project["version"]),
        "dependencies": (read_as["project"]["dependencies"], project["dependencies"]),
        "Repository": (read_as["project"]["urls"]["repository"], project["urls"]["Repository"]),
        "systems": (read_as["project"]["supported_os"], ["OS Independent"]),
        "accelerators": (read_as["project"]["supported_accelerators"], []),
        "ComfyUI": (read_as["project"]["supported_comfyui_version"], comfy["requires-comfyui"]),
        "Icon": (read_as["tool_comfy"]["icon"], comfy["Icon"]),
        "Banner": (read_as["tool_comfy"]["banner_url"], comfy["Banner"]),
        "Models": (read_as["tool_comfy"]["models"], comfy["Models"]),
    }
    return [
        f"{key} is read as {is_}, not {should}"
        for key, (is_, should) in pairs.items()
        if is_ != should
    ]


def _fill(path: Path) -> None:
    text = filled_in(path.read_text(encoding="utf-8"), "somebody", "somebody/somewhere")
    path.write_text(text, encoding="utf-8")


def _tools() -> Path:
    """The folder of the tools' programs, installed now if they are not there."""
    python = program(FOLDER)
    stamp = FOLDER / "tools"
    if not stamp.is_file() or stamp.read_text() != "\n".join(TOOLS):
        print(f"Installing {' and '.join(TOOLS)} in {FOLDER} (about a minute) ...", flush=True)
        venv.create(FOLDER, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", *TOOLS]
        subprocess.run([*pip, "--disable-pip-version-check"], check=True)
        stamp.write_text("\n".join(TOOLS))
    return python.parent


def _comfy(tools: Path, pack: Path, *arguments: str) -> str:
    """What comfy-cli says; it reports to nobody (DO_NOT_TRACK)."""
    command = [str(tools / "comfy"), "--skip-prompt", *arguments]
    environment = {**os.environ, "DO_NOT_TRACK": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, cwd=pack, env=environment, capture_output=True, encoding="utf-8")
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
