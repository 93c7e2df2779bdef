"""Measures the optimizer against a plain loop and against the machine's own limits.

python dev.py bench                 everything: 20 to 30 minutes on 2 cores
python dev.py bench --quick         the loop at batch 1 and the equality of both loops: a minute
python dev.py bench --json FILE     the numbers too; `ratio` is plain / ours for the L-32 loop

TiTok-L-32, ViT-B/32 and the generators at full size with random weights. All ratios come from
alternating rounds in one process. Where there is an accelerator it runs there, unless `--device
cpu` says otherwise.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from .. import command
from . import generation, loop, nodes, parts
from .clock import device_called, machine
from .page import page

ROUNDS, QUICK_ROUNDS = 5, 1
TRACE_STEPS, QUICK_TRACE_STEPS = 3, 2
CALLED_FROM = Path(os.environ.get("TOKENOPT_CALLED_FROM", "."))  # dev.py works in the repository
LARGE_BATCH = 8


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints the tables and writes the numbers where they are wanted."""
    options = _parse(arguments)
    device = device_called(options.device)
    figures = _measure(device, options.quick, options.rounds)
    if not options.quick:
        _say("the peak of memory")
        for name, mib in loop.peaks(device, list(figures["loop"])).items():
            figures["loop"][name]["peak_mib"] = mib
    print(page(figures))
    command.write_json(options.json and CALLED_FROM / options.json, figures)
    return 0 if figures["traces"]["equal"] else 1


def _measure(device: torch.device, quick: bool, rounds: int) -> dict[str, Any]:
    rounds = rounds or (QUICK_ROUNDS if quick else ROUNDS)
    figures: dict[str, Any] = {"machine": machine(device)}
    _say("the loop, plain and ours")
    figures["loop"] = loop.compare(device, rounds, in_float32=not quick)
    figures["ratio"] = list(figures["loop"].values())[-1]["ratio"]  # in the device's own choice
    _say("whether both loops do the same")
    figures["traces"] = loop.traces(device, QUICK_TRACE_STEPS if quick else TRACE_STEPS)
    if quick:
        return figures
    if device.type != "cpu":
        _say(f"the loop with {LARGE_BATCH} images")
        figures["loop of many"] = loop.compare(device, rounds, LARGE_BATCH)
    others = parts.PARTS | generation.PARTS | (nodes.PARTS if nodes.has_comfyui() else {})
    for name, measure in others.items():
        _say(name)
        figures[name] = measure(device, rounds)
    return figures


def _say(text: str) -> None:
    print(f"measuring {text} ...", file=sys.stderr, flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python dev.py bench", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the loop only, below a minute")
    parser.add_argument("--rounds", type=int, default=0, help="counted rounds of everything")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, or a torch device")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
