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

from .. import command
from ..scenes import GOOD_SHARE, NAMES, Outcome
from ..stats import mean
from . import copying, page
from .choosing import Choice, choose, clip_classes, clip_features
from .copying import CELLS, Cell, Scenes

CHOOSING_SEED, MEASURING_SEED = 470_000_000, 480_000_000  # nothing else draws from these
TWINS = ("light", "focus")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures one tokenizer and writes the page."""
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    started = time.perf_counter()
    exact = load_tokenizer(options.tokenizer)
    quick = load_tokenizer(options.tokenizer, dtype=torch.bfloat16)
    choices = choices_of(exact, quick, options.scenes, options.tries, options.attributes)
    scenes = copying.draw_scenes(exact, _drawn(options.n), MEASURING_SEED)
    figures = {
        "weights": _digest(options.tokenizer),
        "n": options.n,
        "scenes": len(scenes.rows),
        "well_reconstructed": _share(scenes.good.tolist()),
        "choosing": {"scenes": options.scenes, "pairs": options.tries},
        "choices": {name: choice._asdict() for name, choice in choices.items()},
        "cells": list(measure(exact, scenes, choices, options.n)),
        "twins": list(measure_twins(exact, scenes, choices, options.n)),
        "minutes": round((time.perf_counter() - started) / 60, 1),
    }
    _keep(figures, options.label, options.out)
    page.draw(exact, scenes, choices, options.out / f"tokens_{options.label}.png")
    print(page.write(options.out))
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
    scenes = copying.draw_scenes(exact, count, CHOOSING_SEED)
    features = clip_features(guide, scenes, CHOOSING_SEED)
    choices = {}
    for name in names:
        choices[name] = choose(quick, scenes, clip_classes(guide, features, name), name, tries)
        print(f"{name}: {choices[name]._replace(scores=[])}", flush=True)
    return choices


def sets_of(choice: Choice) -> dict[tuple[int, ...], list[str]]:
    """The sets of positions to measure, each with the names of the ways that lead to it."""
    sets: dict[tuple[int, ...], list[str]] = {}
    ways = {
        "eq. 1": (choice.by_class,),
        "eq. 1 by CLIP": (choice.by_clip,),
        "best single": (choice.single,),
        "greedy": tuple(choice.greedy),
    }
    for way, positions in ways.items():
        sets.setdefault(tuple(sorted(positions)), []).append(way)
    return sets


def measure(
    tokenizer: Tokenizer, scenes: Scenes, choices: dict[str, Choice], most: int
) -> Iterator[dict[str, Any]]:
    """Figures of every cell and set of positions; the reference is another scene altogether."""
    for cell in CELLS:
        if cell.name not in choices:
            continue
        chosen = copying.pairs(scenes, cell, most)
        for positions, ways in sets_of(choices[cell.name]).items():
            outcome = copying.copied(tokenizer, cell, scenes, scenes, chosen, positions)
            yield figures_of(cell, positions, ways, outcome)


def measure_twins(
    tokenizer: Tokenizer, scenes: Scenes, choices: dict[str, Choice], most: int
) -> Iterator[dict[str, Any]]:
    """The same when the reference is the same scene but for the attribute."""
    for cell in CELLS:
        if cell.name not in TWINS or cell.name not in choices:
            continue
        column = NAMES.index(cell.name)
        rows = scenes.rows.clone()
        rows[:, column] = cell.after
        twins = copying.tokenized(tokenizer, Attributes(rows), MEASURING_SEED)
        fits = scenes.good & twins.good & (scenes.rows[:, column] == cell.before)
        index = fits.nonzero().flatten()[:most]
        for positions, ways in sets_of(choices[cell.name]).items():
            outcome = copying.copied(tokenizer, cell, scenes, twins, (index, index), positions)
            yield figures_of(cell, positions, ways, outcome)


def figures_of(
    cell: Cell, positions: Sequence[int], ways: Sequence[str], outcome: Outcome
) -> dict[str, Any]:
    """What the page needs of an outcome; `kept` is the mean and half its interval."""
    return {
        "attribute": cell.name,
        "change": cell.label,
        "positions": list(positions),
        "ways": list(ways),
        "n": len(outcome.changed),
        "changed": sum(outcome.changed),
        "kept": [round(value, 4) for value in mean(outcome.kept)],
        "valid": sum(outcome.valid),
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
    parser = command.parser("tokens", __doc__)
    add = parser.add_argument
    add("--tokenizer", type=Path, default=DEMO_TOKENIZER, help="folder of weights")
    add("--label", choices=("shipped", "plain"), default="shipped", help="its name on the page")
    add("--scenes", type=int, default=384, help="scenes to choose positions by")
    add("--tries", type=int, default=48, help="pairs to try each set of positions on")
    add("--attributes", nargs="+", choices=ATTRIBUTES, default=list(ATTRIBUTES), help="which")
    few = "a few pairs of lighting, to try the machinery"
    command.add_page_options(parser, "pairs of each cell", few)
    options = command.parse_page_options(parser, arguments)
    if options.quick:
        options.n, options.scenes, options.tries = 4, 32, 2
        options.attributes = ["light"]
    return options


if __name__ == "__main__":
    sys.exit(main())
