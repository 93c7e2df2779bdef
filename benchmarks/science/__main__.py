"""Measures on the demo world what the optimizer and each of its options is worth.

python -m benchmarks.science --workers 2       everything, about 95 minutes on two CPU cores
python -m benchmarks.science --quick           the machinery in a minute; its numbers mean nothing
python -m benchmarks.science --experiments tune    candidates for the defaults, on other scenes

Writes docs/science/results.md (or tuning.md) and its images. Results are kept in benchmarks/runs:
an interrupted run goes on, and a changed setting or weight runs again only where it matters. The
comparators are trained before by `python -m training --only grid vae --minutes 20`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tokenopt_core.compute.precision import WORTH, bfloat16_gain

from .. import command
from . import models, report, rows
from .cache import Job, Results
from .rows import Row
from .work import work

CHUNK = 16


class Experiment(NamedTuple):
    """The rows of one table and the share of `--n` images that they are measured on."""

    rows: list[Row]
    share: float


EXPERIMENTS = {
    "edit": Experiment(rows.edit_rows(), 1.0),
    "generation": Experiment(rows.generation_rows(), 0.375),
    "steps": Experiment(rows.step_rows(), 0.25),
    "inpainting": Experiment(rows.hole_rows(), 0.375),
    "association": Experiment(rows.association_rows(), 0.375),
    "preserve": Experiment(rows.preserve_rows(), 1.0),
    "tune": Experiment(rows.tuning_rows(), 0.25),
}
DEFAULT = ("edit", "generation", "steps", "inpainting", "association")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is missing and writes the report."""
    options = _parse(arguments)
    started = time.perf_counter()
    plans, missing = _plan(options)
    every_job = [job for jobs in plans.values() for row_jobs in jobs for job in row_jobs]
    work(every_job, options.workers, options.threads)
    results = {
        name: [Results(row_jobs[0].row, row_jobs) for row_jobs in jobs]
        for name, jobs in plans.items()
    }
    for remark in missing:
        print(remark, file=sys.stderr)
    facts = report.Facts(
        minutes=(time.perf_counter() - started) / 60,
        workers=options.workers,
        precision=options.precision,
        quick=options.quick,
        missing=missing,
    )
    print(report.write(results, facts, options.out))
    return 0


def _plan(options: argparse.Namespace) -> tuple[dict[str, list[list[Job]]], list[str]]:
    """The jobs of every row of every experiment, and a sentence for each model that is missing."""
    plans: dict[str, list[list[Job]]] = {}
    missing: dict[str, str] = {}
    for name in options.experiments:
        experiment = EXPERIMENTS[name]
        size = min(CHUNK, options.n)
        chunks = max(1, round(options.n * experiment.share / size))
        split = "tuning" if name == "tune" else "test"
        plans[name] = []
        for row in experiment.rows:
            if options.rows and not row.key.startswith(tuple(options.rows)):
                continue
            row = row.quick() if options.quick else row
            try:
                models.require(row.model)
            except models.MissingModel as problem:
                missing[row.model] = str(problem)
                continue
            plans[name].append(
                [
                    Job(row, split, chunk, size, options.precision, options.cache)
                    for chunk in range(chunks)
                ]
            )
    return {name: jobs for name, jobs in plans.items() if jobs}, list(missing.values())


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("science", __doc__)
    add = parser.add_argument
    add("--experiments", nargs="+", choices=EXPERIMENTS, default=DEFAULT, help="which tables")
    add("--rows", nargs="+", metavar="KEY", help="only rows whose key starts so (see rows.py)")
    add("--workers", type=int, default=1, help="processes, one for each core")
    usual = "bfloat16" if bfloat16_gain() >= WORTH else "float32"
    add("--precision", choices=("bfloat16", "float32"), default=usual, help="of the loop")
    add("--cache", type=Path, default=command.RUNS, help="folder of results")
    command.add_page_options(
        parser,
        "images of the edit table; others take a share of it",
        "4 images and 4 steps, to try the machinery",
    )
    options = command.parse_page_options(parser, arguments)
    keys = [row.key for name in options.experiments for row in EXPERIMENTS[name].rows]
    if options.rows and not any(key.startswith(tuple(options.rows)) for key in keys):
        parser.error(
            f"--rows {' '.join(options.rows)} fits no row of {', '.join(options.experiments)}."
        )
    if options.quick:
        options.n = min(options.n, 4)
    return options


if __name__ == "__main__":
    sys.exit(main())
