"""The report: tables, pictures, and the sentences that follow from them."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tokenopt_core.demo import render
from training.evaluate import checksums

from .. import pictures
from . import claims, problems, tables
from .cache import Job, Results
from .rows import POOL

SHOWN = 10  # pictures of each row


@dataclass(frozen=True)
class Facts:
    """How the results came about."""

    minutes: float
    workers: int
    precision: str
    quick: bool
    missing: Sequence[str]


def write(results: Mapping[str, Sequence[Results]], facts: Facts, folder: Path) -> str:
    """Writes results.md, or tuning.md, and the pictures; returns a line about it."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    main = {name: rows for name, rows in results.items() if name != "tune"}
    for name, part in (("results.md", main), ("tuning.md", _only(results, "tune"))):
        if part:
            sections = [_head(name, facts, part), *_sections(part, folder)]
            (folder / name).write_text("\n\n".join(sections) + "\n", encoding="utf-8")
            written.append(str(folder / name))
    return f"Written: {', '.join(written)}"


def _only(results: Mapping[str, Sequence[Results]], name: str) -> dict[str, Sequence[Results]]:
    return {name: results[name]} if name in results else {}


def _head(name: str, facts: Facts, results: Mapping[str, Sequence[Results]]) -> str:
    title = "Candidates for the defaults" if name == "tuning.md" else "Results on the demo world"
    images = [len(r.images) for rows in results.values() for r in rows]
    done = sum(r.seconds * len(r.images) for r in _distinct(results)) / 60
    lines = [
        f"# {title}",
        "",
        "Written by `python -m benchmarks.science`; do not edit. README.md says how to read it.",
        "",
    ]
    if facts.quick:
        lines += ["**A quick run: the numbers mean nothing.**", ""]
    lines += [
        f"- Scenes: N = {min(images)} to {max(images)} per row, of the "
        f"{'tuning' if name == 'tuning.md' else 'test'} seeds.",
        f"- Machine: {platform.processor() or platform.machine()}, {facts.workers} processes, "
        f"torch {torch.__version__}; the loop in {facts.precision}, pictures and judgements in "
        "float32.",
        f"- Time: {done:.0f} minutes of one core in the loop; {facts.minutes:.0f} minutes since "
        "the last start, kept results included.",
        "- Weights (SHA-256): "
        + ", ".join(f"{file} {digest[:10]}" for file, digest in checksums().items())
        + ".",
    ]
    lines += [f"- Left out: {remark}" for remark in facts.missing]
    return "\n".join(lines)


def _distinct(results: Mapping[str, Sequence[Results]]) -> list[Results]:
    """Every computation once: a row may stand in two tables."""
    known = {
        tuple(map(str, (j.path() for j in r.jobs))): r for rows in results.values() for r in rows
    }
    return list(known.values())


def _sections(results: Mapping[str, Sequence[Results]], folder: Path) -> list[str]:
    """The experiments that were asked for, the bars first."""
    by_key = {name: {r.row.key: r for r in rows} for name, rows in results.items()}
    sections = []
    needed = {"tokens", "pixels", "noise", "no-quantization"}
    if needed <= by_key.get("edit", {}).keys():
        sections += ["## The bars", claims.bars(by_key["edit"])]
    if results.keys() != {"tune"}:
        sections += [
            "## What the paper says, and what is seen here",
            "Differences of success in points (inpainting: of PSNR), on the same scenes, with 95 % "
            "intervals. “Holds” and “the opposite holds” mean that the interval excludes 0.",
            claims.claims(by_key),
        ]
    for name, text in TITLES.items():
        if name in results:
            sections += [text, *_BODIES[name](results[name])]
            sections.append(_picture(name, results[name], folder))
    return sections


def _picture(name: str, results: Sequence[Results], folder: Path) -> str:
    """The first scenes of every row, below a scene as it was asked for."""
    job = results[0].jobs[0]
    count = min(SHOWN, job.size)
    wanted = _problems(job)
    drawn = render(wanted.wanted, wanted.seeds[0])[:count]
    asked = pictures.to_image(torch.cat(list(drawn), dim=2))
    rows = [("as asked for", asked)] + [(r.row.label, r.jobs[0].picture()) for r in results]
    pictures.save(pictures.grid(rows, count), folder / f"{name}.png")
    return f"The first {count} of each row, not chosen:\n\n![{name}]({name}.png)"


def _problems(job: Job) -> problems.Problems:
    maker = problems.restorations if job.row.task == "hole" else problems.edits
    return maker(job.split, job.chunk, job.size)


def _captions(results: Sequence[Results]) -> str:
    """The prompts behind the columns of the picture."""
    texts = _problems(results[0].jobs[0]).captions[:SHOWN]
    listed = "\n".join(f"{i}. {text}" for i, text in enumerate(texts, 1))
    return f"The prompts of the pictures' columns:\n\n{listed}"


def _text_body(results: Sequence[Results]) -> list[str]:
    return [tables.text_table(results), _captions(results)]


def _hole_body(results: Sequence[Results]) -> list[str]:
    return [tables.hole_table(results)]


def _association_body(results: Sequence[Results]) -> list[str]:
    return [tables.association_table(results)]


def _steps_body(results: Sequence[Results]) -> list[str]:
    parts = [tables.steps_table(results), "## Best so far and early stopping", STOPPING]
    for result in results:
        parts += [f"What is returned ({result.row.label}):", tables.keep_table(result)]
        parts += [f"When it ends ({result.row.label}):", tables.rules_table(result)]
    return parts


STOPPING = (
    "The same runs, ended earlier: by the smoothed loss of each image (`patience`, `min_gain` "
    "0.001) or after a fixed number of steps. “Best so far” returns what had the lowest smoothed "
    "loss."
)
TITLES = {
    "edit": "## 1. Editing: another shape and another colour, the other six attributes kept\n\n"
    "Success is a valid scene with the prompted shape and colour, by the judge. Brackets are 95 % "
    "intervals (Wilson), ± half of one.",
    "generation": "## 2. Generation from noise, and each tweak alone",
    "steps": "## 3. Number of steps\n\n"
    "One run of 600 steps for each image, looked at on the way. Up to a step it is the run that "
    "would have ended there, but for the token noise, which falls to 0 over the first 400 steps "
    "here and over two thirds of its own steps in a shorter run.",
    "inpainting": "## 4. Inpainting\n\nThe right half of the object is missing; the known pixels "
    "are put back at the end.",
    "association": "## 5. Seeds chosen for the prompt\n\nEach prompt of the edits is given a start "
    f"out of a pool of {POOL} scenes: any, one of those that CLIP ranks highest, or the one that "
    "it likes best. “0 steps” is the seed itself, encoded and decoded.",
    "tune": "## Candidates",
}
_BODIES = {
    "edit": _text_body,
    "generation": _text_body,
    "steps": _steps_body,
    "inpainting": _hole_body,
    "association": _association_body,
    "tune": _text_body,
}
