"""The jobs of a batch: from a table, or every picture with every prompt and seed."""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfy_client import Graph, Problem
from edit import changed

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


@dataclass
class Job:
    """One run of the workflow.

    Args:
        values: what is changed, for `edit.changed`.
        key: tells it from every other job: made of the workflow, the values and the picture.
        starts: how often it was queued.
        resumed: it was queued by an earlier call of the program.
    """

    values: dict[str, Any]
    key: str
    starts: int = 0
    resumed: bool = False

    @property
    def folder(self) -> str:
        """Where its results go: readable, and its own."""
        image = Path(str(self.values.get("image", ""))).stem
        words = re.sub(r"\W+", "-", f"{image} {self.values.get('prompt', '')}".lower()).strip("-")
        return f"{words[:48].rstrip('-')}-{self.key}".lstrip("-")


def make_jobs(graph: Graph, rows: Iterable[dict[str, Any]]) -> list[Job]:
    """A job for each row of values, in order and each only once.

    Raises Problem if a row cannot be put into the workflow.
    """
    digest = functools.cache(lambda path: hashlib.sha256(path.read_bytes()).hexdigest())
    jobs = {}
    for number, values in enumerate(rows, 1):
        try:
            key = _key(changed(graph, values, digest))
        except (Problem, ValueError) as problem:
            raise Problem(f"Job {number}: {problem}") from None
        jobs.setdefault(key, Job(values, key))
    if not jobs:
        raise Problem("There are no jobs.")
    return list(jobs.values())


def read_table(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a CSV file with a head, or of JSON lines; paths of pictures start at the file.

    Columns are image, prompt, seed, and NODE.INPUT for any other input; an empty cell changes
    nothing.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # with the mark that Excel puts in front
        if path.suffix.lower() == ".csv":
            rows = list(csv.DictReader(io.StringIO(text), strict=True))
        else:
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    except (OSError, ValueError, csv.Error) as error:
        raise Problem(f"The jobs in {path} cannot be read: {error}") from None
    for row in rows:
        if not isinstance(row, dict) or None in row:
            raise Problem(f"A job in {path} is no row of its columns: {row!r}.")
        values = {name: value for name, value in row.items() if value not in ("", None)}
        wrong = [n for n in values if n not in ("image", "prompt", "seed") and "." not in n]
        if wrong:
            raise Problem(f"{path} has the column {wrong[0]!r}: it is no NODE.INPUT.")
        if "image" in values:
            values["image"] = str(path.parent / values["image"])
        yield {n: v if n == "seed" else str(v) for n, v in values.items()}


def all_of_all(
    images: Path | None, prompts: Path | None, seeds: list[int]
) -> Iterator[dict[str, Any]]:
    """Every picture of a folder with every line of a text file and every seed."""
    axes: dict[str, list[Any]] = {"seed": seeds}
    if prompts:
        axes["prompt"] = _read(lambda: prompts.read_text(encoding="utf-8-sig").splitlines())
        axes["prompt"] = [line.strip() for line in axes["prompt"] if line.strip()]
    if images:
        found = _read(lambda: sorted(p for p in images.iterdir() if p.suffix.lower() in PICTURES))
        axes["image"] = [str(path) for path in found]
        if not found:
            raise Problem(f"There is no picture in {images}.")
    axes = {name: values for name, values in reversed(axes.items()) if values}
    for values in itertools.product(*axes.values()) if axes else ():
        yield dict(zip(axes, values, strict=True))


def _read(what: Callable[[], list[Any]]) -> list[Any]:
    try:
        return what()
    except (OSError, ValueError) as error:
        raise Problem(f"The jobs cannot be read: {error}") from None


def _key(graph: Graph) -> str:
    asked = {number: [node["class_type"], node["inputs"]] for number, node in graph.items()}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]
