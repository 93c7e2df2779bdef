"""Gives attributes learnt from examples to other scenes of the demo world and asks the judge.

python -m benchmarks.attributes            everything, about ten minutes on one core
python -m benchmarks.attributes --quick    the machinery; its numbers mean nothing

Writes docs/science/attributes.md and its picture. Nothing is chosen here: what is learnt, and what
it is tried on, come from seeds of their own.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from tokenopt_core import load_tokenizer

from . import page as attributes_page
from . import trials as trials

ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes the page."""
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    started = time.perf_counter()
    tokenizer = load_tokenizer("demo")
    changes, few = (
        (trials.CHANGES[:1], ()) if options.quick else (trials.CHANGES, trials.FEW_CHANGES)
    )
    table, shown = [], []
    for change in changes:
        held, tokens = trials.well_reconstructed(tokenizer, change, options.n)
        learnt = trials.learn(tokenizer, change, trials.EXAMPLES, twins=False)
        for setting in trials.SETTINGS:
            found = trials.measured(tokenizer, change, held, trials.apply(learnt, tokens, setting))
            table.append((change, setting, found))
        shown.append((change, learnt, tokens[: attributes_page.SHOWN]))
        hits = [sum(found.changed) for _, _, found in table[-len(trials.SETTINGS) :]]
        print(change.label, hits, flush=True)
    examples = [row for change in few for row in trials.by_examples(tokenizer, change, options.n)]
    minutes = (time.perf_counter() - started) / 60
    attributes_page.draw(tokenizer, shown, options.out / "attributes.png")
    print(attributes_page.write(table, examples, minutes, options.out))
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.attributes",
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--n", type=int, default=128, help="scenes of each change")
    add("--threads", type=int, default=1, help="of torch")
    add("--quick", action="store_true", help="4 scenes of one change, to try the machinery")
    add("--out", type=Path, default=ROOT / "docs" / "science", help="folder of the page")
    options = parser.parse_args(arguments)
    if options.n < 1 or options.threads < 1:
        parser.error("--n and --threads are 1 or more.")
    if options.quick:
        options.n = 4
        if options.out == ROOT / "docs" / "science":
            options.out = Path(__file__).parents[1] / "runs" / "quick"
    return options


if __name__ == "__main__":
    sys.exit(main())
