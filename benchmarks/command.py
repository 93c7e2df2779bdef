"""Command line of the benchmarks: shared options, and the folders that results go to."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "benchmarks" / "runs"  # results that are kept, so that a run goes on; not in git
SCIENCE = ROOT / "docs" / "science"


def parser(name: str, doc: str) -> argparse.ArgumentParser:
    """The parser of `python -m benchmarks.NAME`; the module's first line describes it."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=doc.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )


def add_page_options(parser: argparse.ArgumentParser, n: str, quick: str) -> None:
    """Options of the benchmarks that write a page of docs/science; the two texts are help."""
    parser.add_argument("--n", type=int, default=128, help=n)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--out", type=Path, default=SCIENCE, help="folder of the page")


def parse_page_options(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None
) -> argparse.Namespace:
    """The options, checked. A quick run does not replace a page of docs/science."""
    options = parser.parse_args(arguments)
    for name in ("n", "workers", "threads"):
        if getattr(options, name, 1) < 1:
            parser.error(f"--{name} is {getattr(options, name)}, expected 1 or more.")
    if options.quick and options.out == SCIENCE:
        options.out = getattr(options, "cache", RUNS) / "quick"
    return options


def write_json(path: Path | None, value: Any) -> None:
    """Writes the value, where a path was given."""
    if path:
        path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
