"""The report: tables, images, and the sentences that follow from them."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tokenopt_core.demo import render
from training.evaluate import checksums

from .. import images, markdown
from . import claims, tables
from .cache import Results
from .rows import POOL

SHOWN = 10  # images of each row
PAGES = {"tune": "tuning.md", "preserve": "preserve.md"}  # the others are in results.md
HEADS = {
    "results.md": "Results on the demo world",
    "tuning.md": "Candidates for the defaults",
    "preserve.md": "What keeps the rest of the image",
}
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
    "preserve": "Another shape and another colour are asked for: by a short prompt (“a green "
    "star”), or by a caption that names the other six attributes too.",
    "tune": "## Candidates",
}


@dataclass(frozen=True)
class Facts:
    """How the results came about."""

    minutes: float
    workers: int
    precision: str
    quick: bool
    missing: Sequence[str]


def write(results: Mapping[str, Sequence[Results]], facts: Facts, folder: Path) -> str:
    """Writes results.md, or tuning.md, and the images; returns a line about it."""
    pages: dict[str, dict[str, Sequence[Results]]] = {}
    for experiment, rows in results.items():
        name = PAGES.get(experiment, "results.md")
        pages.setdefault(name, {})[experiment] = rows
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, part in sorted(pages.items()):
        markdown.write_page(folder / name, [_head(name, facts, part), *_sections(part, folder)])
        written.append(str(folder / name))
    return f"Written: {', '.join(written)}"


def _head(name: str, facts: Facts, results: Mapping[str, Sequence[Results]]) -> str:
    counts = [len(r.images) for rows in results.values() for r in rows]
    done = sum(r.seconds * len(r.images) for r in _distinct(results)) / 60
    lines = [
        f"# {HEADS[name]}",
        "",
        "Written by `python -m benchmarks.science`; do not edit. README.md says how to read it.",
        "",
    ]
    if facts.quick:
        lines += ["**A quick run: the numbers mean nothing.**", ""]
    lines += [
        f"- Scenes: N = {min(counts)} to {max(counts)} per row, of the "
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
    if results.keys() - PAGES.keys():
        sections += [
            "## What the paper says, and what is seen here",
            "Differences of success in points (inpainting: of PSNR), on the same scenes, with 95 % "
            "intervals. “Holds” and “the opposite holds” mean that the interval excludes 0.",
            claims.claims(by_key),
        ]
    for name, text in TITLES.items():
        if name in results:
            sections += [text, *_BODIES[name](results[name])]
            sections.append(_image(name, results[name], folder))
    return sections


def _image(name: str, results: Sequence[Results], folder: Path) -> str:
    """The first scenes of every row, below a scene as it was asked for."""
    job = results[0].jobs[0]
    count = min(SHOWN, job.size)
    wanted = job.problems()
    asked = images.strip(render(wanted.wanted, wanted.seeds[0])[:count])
    rows = [("as asked for", asked)] + [(r.row.label, r.jobs[0].strip()) for r in results]
    images.save(images.grid(rows, count), folder / f"{name}.png")
    return f"The first {count} of each row, not chosen:\n\n![{name}]({name}.png)"


def _captions(results: Sequence[Results]) -> str:
    """The prompts behind the columns of the image."""
    texts = results[0].jobs[0].problems().captions[:SHOWN]
    listed = "\n".join(f"{i}. {text}" for i, text in enumerate(texts, 1))
    return f"The prompts of the pictures' columns:\n\n{listed}"


def _text_body(results: Sequence[Results]) -> list[str]:
    return [tables.text_table(results), _captions(results)]


def _steps_body(results: Sequence[Results]) -> list[str]:
    parts = [tables.steps_table(results), "## Best so far and early stopping", STOPPING]
    for result in results:
        parts += [f"What is returned ({result.row.label}):", tables.keep_table(result)]
        parts += [f"When it ends ({result.row.label}):", tables.rules_table(result)]
    return parts


_BODIES = {
    "edit": _text_body,
    "generation": _text_body,
    "steps": _steps_body,
    "inpainting": lambda results: [tables.hole_table(results)],
    "association": lambda results: [tables.association_table(results)],
    "preserve": _text_body,
    "tune": _text_body,
}
