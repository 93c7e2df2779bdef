"""docs/science/tokens.md and its pictures, from the figures in tokens.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from tokenopt_core import Tokenizer

from .. import pictures
from ..science.tables import markdown
from ..stats import wilson
from . import copying
from . import text as tokens_text
from .choosing import Choice
from .copying import CELLS, Scenes

Figures = Mapping[str, Any]
# Of the issue that asked for it: change, least share of pairs, least share of the others kept.
TARGETS = {
    "bright → dark": (0.95, 0.90),
    "dark → bright": (0.95, 0.90),
    "sharp → blurred": (0.95, 0.90),
    "blurred → sharp": (0.85, 0.90),
}
TOOL = "eq. 1 by CLIP"  # what the Token Importance node finds
SHOWN = 5  # pairs of each direction in a picture


def write(folder: Path) -> str:
    """Writes tokens.md from tokens.json; returns a line about it."""
    known = json.loads((folder / "tokens.json").read_text(encoding="utf-8"))
    sections = [tokens_text.head(known)]
    if "shipped" in known:
        sections += ["## The targets", _targets(known["shipped"])]
    for label, title in tokens_text.TITLES.items():
        if label in known:
            sections += [f"## {title}", *_tokenizer(known[label], label)]
    sections.append(tokens_text.READING)
    (folder / "tokens.md").write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return f"Written: {folder / 'tokens.md'}"


def draw(tokenizer: Tokenizer, held: Scenes, choices: Mapping[str, Choice], path: Path) -> None:
    """A picture of copies of the one token that equation 1 names, for lighting and focus."""
    rows = []
    for name in ("light", "focus"):
        cells = [cell for cell in CELLS if cell.name == name]
        if name not in choices:
            continue
        position = choices[name].by_clip
        chosen = [copying.pairs(held, cell, SHOWN, seed=1) for cell in cells]
        targets, references = (torch.cat(side) for side in zip(*chosen, strict=True))
        edited = held.tokens[targets].clone()
        edited[:, position] = held.tokens[references][:, position]
        rows += [
            ("target", _strip(tokenizer, held.tokens[targets])),
            (f"reference for {name}", _strip(tokenizer, held.tokens[references])),
            (f"target with its token {position}", _strip(tokenizer, edited)),
        ]
    pictures.save(pictures.grid(rows, 2 * SHOWN, scale=2), path)


@torch.no_grad()
def _strip(tokenizer: Tokenizer, tokens: torch.Tensor) -> Image.Image:
    images = torch.cat(list(copying.images_of(tokenizer, tokens)))
    return pictures.to_image(torch.cat(list(images), dim=2))


def _tokenizer(figures: Figures, label: str) -> list[str]:
    parts = [tokens_text.facts(figures), _choices(figures["choices"])]
    parts += ["Copies from another scene:", _copies(figures["cells"])]
    if figures["twins"]:
        parts += ["The same when the reference differs in nothing else:", _copies(figures["twins"])]
    parts.append(f"![Copies of single tokens](tokens_{label}.png)")
    return parts


def _choices(choices: Mapping[str, Any]) -> str:
    head = ("attribute", "eq. 1, true classes: best three (share of variance)", "chance",
            "CLIP sorts right, %", "eq. 1 by CLIP", "best single", "greedy set")  # fmt: skip
    lines = []
    for name in copying.NAMES:
        if name not in choices:
            continue
        choice = choices[name]
        scores = choice["scores"]
        best = sorted(range(len(scores)), key=lambda k: -scores[k])[:3]
        lines.append(
            (
                name,
                ", ".join(f"{k} ({scores[k]:.2f})" for k in best),
                f"{choice['chance']:.2f}",
                f"{100 * choice['agreement']:.0f}",
                str(choice["by_clip"]),
                str(choice["single"]),
                ", ".join(map(str, choice["greedy"])),
            )
        )
    return markdown(head, lines)


def _copies(cells: Sequence[Figures]) -> str:
    head = ("change", "positions", "found by", "N", "changed, %", "other seven kept, %",
            "still a scene, %")  # fmt: skip
    lines = [
        (
            cell["change"],
            ", ".join(map(str, cell["positions"])),
            ", ".join(cell["ways"]),
            str(cell["n"]),
            changed_text(cell),
            kept_text(cell),
            f"{100 * cell['valid'] / cell['n']:.0f}",
        )
        for cell in cells
    ]
    return markdown(head, lines)


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
                changed_text(cell),
                f"{100 * kept:.0f}",
                kept_text(cell),
                "met" if met else "**not met**",
            )
        )
    head = ("change", "at least, %", "changed, %", "at least, %", "other seven kept, %", "")
    return markdown(head, lines)


def changed_text(cell: Figures) -> str:
    """Such as "98 [94, 99]"."""
    low, high = wilson(cell["changed"], cell["n"])
    return f"{100 * cell['changed'] / cell['n']:.0f} [{100 * low:.0f}, {100 * high:.0f}]"


def kept_text(cell: Figures) -> str:
    """Such as "97 ± 1"."""
    average, half = cell["kept"]
    return f"{100 * average:.0f} ± {100 * half:.0f}"
