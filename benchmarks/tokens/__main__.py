"""Copies tokens between scenes of the demo world and asks the judge what each of them carries.

python -m benchmarks.tokens                       the shipped tokenizer
python -m benchmarks.tokens --tokenizer FOLDER --label plain     any other
python -m benchmarks.tokens --quick               the machinery; its numbers mean nothing

Positions are chosen on scenes of their own, by equation 1 of arXiv 2506.08257 and by trying; what
they do is measured on others. Figures are kept in docs/science/tokens.json, and tokens.md is
written from all that are there. A run takes about a quarter of an hour on one core.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from tokenopt_core import Tokenizer, load_guide, load_tokenizer
from tokenopt_core.demo import ATTRIBUTES, Attributes
from tokenopt_core.tokenizers.registry import DEMO_TOKENIZER

from ..stats import mean
from . import copying
from . import page as tokens_page
from .choosing import Choice, choose, clip_classes, clip_looks
from .copying import CELLS, NAMES, Cell, Outcome, Scenes

ROOT = Path(__file__).parents[2]
CHOOSING_SEED, MEASURING_SEED = 470_000_000, 480_000_000  # nothing else draws from these
TWINS = ("light", "focus")
GOOD_SHARE = 0.7  # of scenes that are surely well reconstructed, to draw enough of them


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures one tokenizer and writes the page."""
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    started = time.perf_counter()
    exact = load_tokenizer(options.tokenizer)
    quick = load_tokenizer(options.tokenizer, dtype=torch.bfloat16)
    choices = choices_of(exact, quick, options.scenes, options.tries, options.attributes)
    held = copying.scenes(exact, _drawn(options.n), MEASURING_SEED)
    figures = {
        "weights": _digest(options.tokenizer),
        "n": options.n,
        "scenes": len(held.rows),
        "well_reconstructed": _share(held.good.tolist()),
        "choosing": {"scenes": options.scenes, "pairs": options.tries},
        "choices": {name: choice._asdict() for name, choice in choices.items()},
        "cells": list(measure(exact, held, choices, options.n)),
        "twins": list(measure_twins(exact, held, choices, options.n)),
        "minutes": round((time.perf_counter() - started) / 60, 1),
    }
    _keep(figures, options.label, options.out)
    tokens_page.draw(exact, held, choices, options.out / f"tokens_{options.label}.png")
    print(tokens_page.write(options.out))
    return 0


def choices_of(
    exact: Tokenizer, quick: Tokenizer, count: int, tries: int, names: Sequence[str]
) -> dict[str, Choice]:
    """Positions for each attribute, from scenes that nothing is measured on.

    Args:
        quick: the same in half precision, to try positions with.
        count: scenes for the statistics; `tries`: pairs for each set of positions.
    """
    guide = load_guide("demo")
    held = copying.scenes(exact, count, CHOOSING_SEED)
    looks = clip_looks(guide, held, CHOOSING_SEED)
    found = {}
    for name in names:
        found[name] = choose(quick, held, clip_classes(guide, looks, name), name, tries)
        print(f"{name}: {found[name]._replace(scores=[])}", flush=True)
    return found


def sets_of(choice: Choice) -> dict[tuple[int, ...], list[str]]:
    """The sets of positions to measure, each with the names of the ways that lead to it."""
    found: dict[tuple[int, ...], list[str]] = {}
    ways = {
        "eq. 1": (choice.by_class,),
        "eq. 1 by CLIP": (choice.by_clip,),
        "best single": (choice.single,),
        "greedy": tuple(choice.greedy),
    }
    for way, positions in ways.items():
        found.setdefault(tuple(sorted(positions)), []).append(way)
    return found


def measure(
    tokenizer: Tokenizer, held: Scenes, choices: dict[str, Choice], most: int
) -> Iterator[dict[str, Any]]:
    """Figures of every cell and set of positions; the reference is another scene altogether."""
    for cell in CELLS:
        if cell.name not in choices:
            continue
        chosen = copying.pairs(held, cell, most)
        for positions, ways in sets_of(choices[cell.name]).items():
            found = copying.copied(tokenizer, cell, held, held, chosen, positions)
            yield figures_of(cell, positions, ways, found)


def measure_twins(
    tokenizer: Tokenizer, held: Scenes, choices: dict[str, Choice], most: int
) -> Iterator[dict[str, Any]]:
    """The same when the reference is the same scene but for the attribute."""
    for cell in CELLS:
        if cell.name not in TWINS or cell.name not in choices:
            continue
        column = NAMES.index(cell.name)
        rows = held.rows.clone()
        rows[:, column] = cell.after
        twins = copying.hold(tokenizer, Attributes(rows), MEASURING_SEED)
        fits = held.good & twins.good & (held.rows[:, column] == cell.before)
        index = fits.nonzero().flatten()[:most]
        for positions, ways in sets_of(choices[cell.name]).items():
            found = copying.copied(tokenizer, cell, held, twins, (index, index), positions)
            yield figures_of(cell, positions, ways, found)


def figures_of(
    cell: Cell, positions: Sequence[int], ways: Sequence[str], found: Outcome
) -> dict[str, Any]:
    """What the page needs of an outcome; `kept` is the mean and half its interval."""
    return {
        "attribute": cell.name,
        "change": cell.label,
        "positions": list(positions),
        "ways": list(ways),
        "n": len(found.changed),
        "changed": sum(found.changed),
        "kept": [round(value, 4) for value in mean(found.kept)],
        "valid": sum(found.valid),
    }


def _drawn(pairs: int) -> int:
    """How many scenes to draw so that every cell gets its pairs of well-reconstructed ones."""
    return int(2.3 * pairs / GOOD_SHARE)


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def _share(flags: Sequence[bool]) -> float:
    return round(sum(flags) / len(flags), 4)


def _keep(figures: dict[str, Any], label: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tokens.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    known[label] = figures
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tokens",
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--tokenizer", type=Path, default=DEMO_TOKENIZER, help="folder of weights")
    add("--label", choices=("shipped", "plain"), default="shipped", help="its name on the page")
    add("--n", type=int, default=128, help="pairs of each cell")
    add("--scenes", type=int, default=384, help="scenes to choose positions by")
    add("--tries", type=int, default=48, help="pairs to try each set of positions on")
    add("--attributes", nargs="+", choices=ATTRIBUTES, default=list(ATTRIBUTES), help="which")
    add("--threads", type=int, default=1, help="of torch")
    add("--quick", action="store_true", help="a few pairs of lighting, to try the machinery")
    add("--out", type=Path, default=ROOT / "docs" / "science", help="folder of the page")
    options = parser.parse_args(arguments)
    if options.quick:
        options.n, options.scenes, options.tries = 4, 32, 2
        options.attributes = ["light"]
        if options.out == ROOT / "docs" / "science":
            options.out = Path(__file__).parents[1] / "runs" / "quick"
    return options


if __name__ == "__main__":
    sys.exit(main())
