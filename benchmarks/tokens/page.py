"""The page docs/science/tokens.md and its images, from the figures in tokens.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from tokenopt_core import Tokenizer

from .. import images, markdown
from ..scenes import NAMES, decode
from ..stats import hits_text
from . import text
from .choosing import Choice
from .copying import CELLS, Scenes, pairs

Figures = Mapping[str, Any]
# Of the issue that asked for it: change, least share of pairs, least share of the others kept.
TARGETS = {
    "bright → dark": (0.95, 0.90),
    "dark → bright": (0.95, 0.90),
    "sharp → blurred": (0.95, 0.90),
    "blurred → sharp": (0.85, 0.90),
}
TOOL = "eq. 1 by CLIP"  # what the Token Importance node finds
SHOWN = 5  # pairs of each direction in the image


def write(folder: Path) -> str:
    """Writes tokens.md from tokens.json; returns a line about it."""
    known = json.loads((folder / "tokens.json").read_text(encoding="utf-8"))
    sections = [text.head(known)]
    if "shipped" in known:
        sections += ["## The targets", _targets(known["shipped"])]
    for label, title in text.TITLES.items():
        if label in known:
            sections += [f"## {title}", *_tokenizer(known[label], label)]
    sections.append(text.READING)
    return markdown.write_page(folder / "tokens.md", sections)


def draw(tokenizer: Tokenizer, scenes: Scenes, choices: Mapping[str, Choice], path: Path) -> None:
    """Draws copies of the one token that equation 1 names, for lighting and focus."""
    rows = []
    for name in ("light", "focus"):
        cells = [cell for cell in CELLS if cell.name == name]
        if name not in choices:
            continue
        position = choices[name].by_clip
        chosen = [pairs(scenes, cell, SHOWN, seed=1) for cell in cells]
        targets, references = (torch.cat(side) for side in zip(*chosen, strict=True))
        edited = scenes.tokens[targets].clone()
        edited[:, position] = scenes.tokens[references][:, position]
        rows += [
            ("target", _strip(tokenizer, scenes.tokens[targets])),
            (f"reference for {name}", _strip(tokenizer, scenes.tokens[references])),
            (f"target with its token {position}", _strip(tokenizer, edited)),
        ]
    images.save(images.grid(rows, 2 * SHOWN, scale=2), path)


def _strip(tokenizer: Tokenizer, tokens: torch.Tensor) -> Image.Image:
    return images.strip(torch.cat(list(decode(tokenizer, tokens))))


def _tokenizer(figures: Figures, label: str) -> list[str]:
    parts = [text.facts(figures), _choices(figures["choices"])]
    parts += ["Copies from another scene:", _copies(figures["cells"])]
    if figures["twins"]:
        parts += ["The same when the reference differs in nothing else:", _copies(figures["twins"])]
    parts.append(f"![Copies of single tokens](tokens_{label}.png)")
    return parts


def _choices(choices: Mapping[str, Any]) -> str:
    columns = {
        "attribute": lambda name: name,
        "eq. 1, true classes: best three (share of variance)": lambda name: ", ".join(
            f"{k} ({score:.2f})" for k, score in _best_three(choices[name]["scores"])
        ),
        "chance": lambda name: f"{choices[name]['chance']:.2f}",
        "CLIP sorts right, %": lambda name: f"{100 * choices[name]['agreement']:.0f}",
        "eq. 1 by CLIP": lambda name: str(choices[name]["by_clip"]),
        "best single": lambda name: str(choices[name]["single"]),
        "greedy set": lambda name: ", ".join(map(str, choices[name]["greedy"])),
    }
    return markdown.table_of([name for name in NAMES if name in choices], columns)


def _best_three(scores: Sequence[float]) -> list[tuple[int, float]]:
    """Position and score, the best first."""
    return sorted(enumerate(scores), key=lambda pair: -pair[1])[:3]


def _copies(cells: Sequence[Figures]) -> str:
    columns = {
        "change": lambda cell: cell["change"],
        "positions": lambda cell: ", ".join(map(str, cell["positions"])),
        "found by": lambda cell: ", ".join(cell["ways"]),
        "N": lambda cell: str(cell["n"]),
        "changed, %": _changed,
        "other seven kept, %": _kept,
        "still a scene, %": lambda cell: f"{100 * cell['valid'] / cell['n']:.0f}",
    }
    return markdown.table_of(cells, columns)


def _targets(figures: Figures) -> str:
    lines = []
    for cell in figures["cells"]:
        if cell["change"] not in TARGETS or TOOL not in cell["ways"]:
            continue
        changed, kept = TARGETS[cell["change"]]
        met = cell["changed"] / cell["n"] >= changed and cell["kept"][0] >= kept
        lines.append(
            (
                f"{cell['change']}, token {cell['positions'][0]}",
                f"{100 * changed:.0f}",
                _changed(cell),
                f"{100 * kept:.0f}",
                _kept(cell),
                "met" if met else "**not met**",
            )
        )
    head = ("change", "at least, %", "changed, %", "at least, %", "other seven kept, %", "")
    return markdown.table(head, lines)


def _changed(cell: Figures) -> str:
    return hits_text(cell["changed"], cell["n"])


def _kept(cell: Figures) -> str:
    average, half = cell["kept"]
    return f"{100 * average:.0f} ± {100 * half:.0f}"
