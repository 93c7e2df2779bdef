"""comfy-test's levels on the unpacked archive in a real server, and the findings to accept.

comfy-test.toml says why what is accepted here is flagged falsely.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from ..comfyui.layout import ROOT
from ..comfyui.server import ComfyServer
from .archive import unpack

CONFIG = "comfy-test.toml"
LIBRARY = "tokenopt_core/"
ACCEPTED_RULE = "shared-dom-injection"
ACCEPTED_REPORTS = {"weights", "cache-clear-in-loop"}
SERVER_LOG = "server.log"  # the name that it looks for


def check(program: Path, archive: Path, folder: Path) -> list[str]:
    """Sentences about what is wrong with the archive; `folder` is for what is made on the way."""
    base, logs = folder / "base", folder / "logs"
    pack = unpack(archive, base / "custom_nodes" / "tokenopt")
    (pack / CONFIG).write_bytes((ROOT / CONFIG).read_bytes())
    problems = lint_problems(_run(program, pack, logs, "lint"))
    with ComfyServer(base, linked=False, log=logs / SERVER_LOG) as server:
        said = _run(program, pack, logs, "run", "--server-url", server.url)
    print(re.sub(r"(?m)^\[comfy-test\].*\n|^\[DEBUG\].*\n", "", said))
    return problems + run_problems(said)


def lint_problems(said: str) -> list[str]:
    """What `comfy-test lint` found that is not accepted."""
    if "Unicode check: OK" not in said or "[javascript] scanning" not in said:
        return [f"comfy-test lint did not check all that it should:\n{said}"]
    problems, file = [], ""
    for line in said.partition("[SYNTAX] FAILED")[2].splitlines():
        if match := re.fullmatch(r"\s+(\S+\.py):", line):
            file = match[1]
        elif re.match(r"\s+Line \d+:", line) and not file.startswith(LIBRARY):
            problems.append(f"{file}: {line.strip()}")
    flagged = re.findall(r"\[ERROR\] (\S+) (\S+) -- (.*)", said)
    problems += [f"{place} {rule}: {why}" for place, rule, why in flagged if rule != ACCEPTED_RULE]
    return problems


def run_problems(said: str) -> list[str]:
    """What `comfy-test run` found that is not accepted."""
    problems = [line.strip() for line in said.splitlines() if "FAIL" in line]
    passed = re.findall(r"^\[(\w+)\] PASSED", said, re.MULTILINE)
    missing = {"WARNINGS", "HAZARDS", "REGISTRATION"} - set(passed)
    problems += [f"level {level} did not pass" for level in sorted(missing)]
    reports = re.findall(r"^\[(?:warnings|hazards)\] ([\w-]+) -- (.*)$", said, re.MULTILINE)
    problems += [f"{name}: {why}" for name, why in reports if name not in ACCEPTED_REPORTS]
    return problems


def _run(program: Path, pack: Path, logs: Path, *arguments: str) -> str:
    logs.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "COMFY_TEST_LOGS_DIR": str(logs), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [str(program), *arguments],
        cwd=pack,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    return done.stdout
