"""Gives attributes learnt from examples to other scenes of the demo world and asks the judge.

python -m benchmarks.attributes            everything, about ten minutes on one core
python -m benchmarks.attributes --quick    the machinery; its numbers mean nothing

Writes docs/science/attributes.md and its image. Nothing is chosen here: what is learnt, and what
it is tried on, come from seeds of their own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import torch

from tokenopt_core import load_tokenizer

from .. import command
from . import page, trials


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes the page."""
    parser = command.parser("attributes", __doc__)
    few = "4 scenes of one change, to try the machinery"
    command.add_page_options(parser, "scenes of each change", few)
    options = command.parse_page_options(parser, arguments)
    count = 4 if options.quick else options.n
    torch.set_num_threads(options.threads)
    started = time.perf_counter()
    tokenizer = load_tokenizer("demo")
    table, shown = [], []
    for change in trials.CHANGES[:1] if options.quick else trials.CHANGES:
        scenes, features = trials.well_reconstructed(tokenizer, change, count)
        attribute = trials.learn(tokenizer, change, trials.EXAMPLES, twins=False)
        outcomes = []
        for setting in trials.SETTINGS:
            edited = trials.apply(attribute, features, setting)
            outcomes.append(trials.outcome_of(tokenizer, change, scenes, edited))
            table.append((change, setting, outcomes[-1]))
        shown.append((change, attribute, features[: page.SHOWN]))
        print(change.label, [sum(outcome.changed) for outcome in outcomes], flush=True)
    few_changes = () if options.quick else trials.FEW_CHANGES
    examples = [
        row for change in few_changes for row in trials.by_examples(tokenizer, change, count)
    ]
    minutes = (time.perf_counter() - started) / 60
    page.draw(tokenizer, shown, options.out / "attributes.png")
    print(page.write(table, examples, minutes, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
