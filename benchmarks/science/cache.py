"""Results on disk: one JSON file and one strip of images for each row and chunk of problems."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from .. import images
from . import models, problems
from .rows import Row

LAYOUT = 1  # of the records; a new number makes old ones unknown


class Job(NamedTuple):
    """One row on one chunk of problems."""

    row: Row
    split: str
    chunk: int
    size: int
    precision: str
    folder: Path

    @property
    def cost(self) -> int:
        """Image steps, for the progress bar."""
        return self.size * max(1, self.row.steps)

    def problems(self) -> problems.Problems:
        """What the row is tried on."""
        draw = problems.restorations if self.row.task == "hole" else problems.edits
        return draw(self.split, self.chunk, self.size)

    def path(self) -> Path:
        """Where the record is; the name covers settings, weights, problems and precision."""
        facts = {
            "layout": LAYOUT,
            "row": self.row.settings(),
            "weights": models.weights_of(self.row.model),
            "problems": [self.split, self.chunk, self.size],
            "precision": self.precision,
            "torch": torch.__version__,
        }
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
        return self.folder / f"{self.row.key}-{self.chunk}-{digest}.json"

    def done(self) -> bool:
        return self.path().is_file()

    def save(self, record: dict[str, Any], results: Tensor) -> None:
        """Writes the images first, then the record, which appears when it is complete."""
        path = self.path()
        path.parent.mkdir(parents=True, exist_ok=True)
        images.strip(results).save(path.with_suffix(".png"))
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps({"label": self.row.label, **record}), encoding="utf-8")
        partial.replace(path)

    def load(self) -> dict[str, Any]:
        return json.loads(self.path().read_text(encoding="utf-8"))

    def strip(self) -> Image.Image:
        """The strip of all images of the chunk."""
        with Image.open(self.path().with_suffix(".png")) as image:
            return image.convert("RGB")


class Results:
    """What is known about one row, all chunks together."""

    def __init__(self, row: Row, jobs: Sequence[Job]):
        self.row, self.jobs = row, list(jobs)
        self.records = [job.load() for job in self.jobs]

    @property
    def images(self) -> list[dict[str, Any]]:
        """The figures of every image."""
        return [image for record in self.records for image in record["images"]]

    @property
    def seconds(self) -> float:
        """Time of the loop per image."""
        return sum(record["seconds"] for record in self.records) / len(self.images)

    def replayed(self, kind: str) -> dict[str, dict[str, Any]]:
        """A traced row's "looks" or "rules": steps and figures of all images, a list of each."""
        merged: dict[str, dict[str, Any]] = {}
        for record in self.records:
            for name, part in record[kind].items():
                steps, images = part["steps"], part["images"]
                steps = steps if isinstance(steps, list) else [steps] * len(images)
                known = merged.setdefault(name, {"steps": [], "images": []})
                known["steps"] += steps
                known["images"] += images
        return merged
