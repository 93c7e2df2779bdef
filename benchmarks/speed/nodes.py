"""Cost of the nodes: the import of the pack in ComfyUI, and the reporting of a run."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch

from devtools.comfyui.client import Client, Graph
from devtools.comfyui.layout import DEV, comfyui_folder, make_base
from devtools.comfyui.server import ComfyServer
from devtools.comfyui.template_files import api_graph

BASE, LOG = DEV / "speed-base", DEV / "logs" / "speed.log"
PACK = Path(__file__).parent / "pack"
STEPS, PREVIEW_EVERY = 300, 10
BLOCK = 10  # steps that the pack times together

_IMPORT = re.compile(r"import time:\s*(\d+) \|\s*(\d+) \|( +)(.+)")


class Import(NamedTuple):
    """A line of `python -X importtime`: a module comes after all that it has imported first.

    Args:
        depth: modules above it, whose import waits for this one.
    """

    name: str
    seconds: float
    cumulative: float
    depth: int


def imports(device: torch.device, rounds: int) -> dict[str, Any]:
    """Seconds that ComfyUI waits for the pack's modules when it starts, and what else they load.

    The first start, which may have to compile, is not counted; `device` decides nothing.
    """
    base, starts = make_base(BASE), []
    for _ in range(rounds + 1):
        starts.append(of_pack(parse_importtime(_start_log(base))))
    seconds = [total for total, _, _ in starts]
    _, modules, others = starts[-1]
    return {
        "first_start_seconds": seconds[0],
        "seconds": statistics.median(seconds[1:]),
        "least_seconds": min(seconds[1:]),
        "most_seconds": max(seconds[1:]),
        "modules": modules,
        "others": others,
    }


def overhead(device: torch.device, rounds: int) -> dict[str, Any]:
    """What progress, a preview every 10 steps and the look for a cancel add to the demo edit.

    In a real server with a client that listens, blocks of 10 steps with and without, in turn; a
    round is one edit of 300 steps. `noise` is the standard error of the median share.
    """
    base = make_base(BASE, PACK)
    with ComfyServer(base, log=LOG, cpu=device.type == "cpu") as server:
        return reporting(server.client(), rounds * STEPS // BLOCK)


def reporting(client: Client, blocks: int) -> dict[str, Any]:
    """`overhead` of so many blocks, measured by a running server that has `PACK`."""
    run = client.run(_graph(blocks), timeout=3600)
    if run.error:
        raise RuntimeError(f"{run.error['node_type']}: {run.error['exception_message']}")
    seconds, processor = (run.outputs["6"][key][0] for key in ("seconds", "processor_seconds"))
    share, noise = _added(seconds)
    processor_share, processor_noise = _added(processor)
    return {
        "steps": STEPS,
        "preview_every": PREVIEW_EVERY,
        "seconds": statistics.median(seconds["reported"]) * STEPS / BLOCK,
        "share": share,
        "noise": noise,
        "processor_share": processor_share,
        "processor_noise": processor_noise,
        "previews": len(run.previews),
    }


def _added(seconds: dict[str, list[float]]) -> tuple[float, float]:
    """The median share that reporting adds to a block, and its standard error."""
    pairs = zip(seconds["reported"], seconds["bare"], strict=True)
    shares = [reported / bare - 1 for reported, bare in pairs]
    low, middle, high = statistics.quantiles(shares, n=4)
    return middle, 0.93 * (high - low) / len(shares) ** 0.5  # of normally distributed shares


def parse_importtime(text: str) -> list[Import]:
    """The modules in the order in which their import ended; other lines are passed over."""
    lines = (_IMPORT.fullmatch(line) for line in text.splitlines())
    return [
        Import(name, int(own) / 1e6, int(cumulative) / 1e6, len(indent) // 2)
        for own, cumulative, indent, name in (line.groups() for line in lines if line)
    ]


def of_pack(modules: list[Import]) -> tuple[float, int, list[str]]:
    """Seconds of the pack's modules with all that they import first, how many of its own there are,
    and the names of the others."""
    seconds, own, others, depth = 0.0, 0, [], None
    for module in reversed(modules):  # a module before what it has imported
        if depth is not None and module.depth > depth:
            if _is_own(module):
                own += 1
            else:
                others.append(module.name)
            continue
        depth = None
        if _is_own(module):
            seconds, own, depth = seconds + module.cumulative, own + 1, module.depth
    return seconds, own, others[::-1]


def _is_own(module: Import) -> bool:
    """ComfyUI names a pack after its folder: `.../custom_nodes/tokenopt.nodes.run`."""
    return "/tokenopt." in module.name.replace("\\", "/")


def _start_log(base: Path) -> str:
    """What ComfyUI says when it starts, imports everything and ends at once."""
    command = [sys.executable, "-X", "importtime", "main.py", "--quick-test-for-ci", "--cpu"]
    command += ["--disable-auto-launch", "--disable-api-nodes", "--base-directory", str(base)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # users' modules are compiled once
    done = subprocess.run(
        command, cwd=comfyui_folder(), env=environment, capture_output=True, text=True, check=True
    )
    if not re.search(r"seconds: .*tokenopt$", done.stderr, re.MULTILINE):
        raise RuntimeError(f"ComfyUI did not load the pack:\n{done.stderr[-2000:]}")
    return done.stderr


def _graph(blocks: int) -> Graph:
    """The shipped text edit with the benchmark's node in place of its optimizer."""
    graph = api_graph("text_edit")
    inputs = {"tokenizer": ["1", 0], "tokens": ["4", 0], "loss": ["5", 0], "steps": STEPS}
    inputs |= {"blocks": blocks, "preview_every": PREVIEW_EVERY}
    kept = {number: graph[number] for number in "12345"}
    return kept | {"6": {"class_type": "TokenOptSpeed_ReportingCost", "inputs": inputs}}


def has_comfyui() -> bool:
    """Whether there is a ComfyUI to measure in; a bare machine with an accelerator has none."""
    try:
        return comfyui_folder().is_dir()
    except FileNotFoundError:
        return False


PARTS = {"import of the pack": imports, "overhead of reporting": overhead}
