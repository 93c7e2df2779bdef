"""The tables of the report, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..stats import mean, mean_text, share_text
from .cache import Results
from .problems import CHANGED, NAMES
from .running import hits

Figures = Sequence[dict[str, Any]]  # what `running.measure` says, one entry per image


def successes(images: Figures) -> list[bool]:
    """A valid scene with the prompted shape and colour, by the judge."""
    return [hits(image, CHANGED) for image in images]


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table; the first column to the left, the others to the right."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *lines))


def text_table(results: Sequence[Results]) -> str:
    """Text-guided rows: success and what it cost the rest."""
    head = ("method", "N", "shape and colour right, %", "other six kept, %", "all eight, %",
            "valid, %", "judge's probability", "CLIP similarity", "s per image")  # fmt: skip
    lines = []
    for result in results:
        images = result.images
        others = [sum(image["right"][2:]) / (len(NAMES) - 2) for image in images]
        lines.append(
            (
                result.row.label,
                str(len(images)),
                share_text(successes(images)),
                f"{100 * mean(others)[0]:.0f} ± {100 * mean(others)[1]:.0f}",
                share_text([hits(image) for image in images]),
                share_text([image["valid"] > 0.5 for image in images]),
                mean_text([image["probability"] for image in images]),
                mean_text([image["clip"] for image in images], 3),
                f"{result.seconds:.1f}",
            )
        )
    return markdown(head, lines)


def association_table(results: Sequence[Results]) -> str:
    """Rows from chosen seeds: how much of the whole prompt came true."""
    head = ("from, for so long", "N", "all eight right, %", "of eight right, mean",
            "shape and colour right, %", "valid, %", "CLIP similarity", "s per image")  # fmt: skip
    lines = []
    for result in results:
        images = result.images
        lines.append(
            (
                result.row.label,
                str(len(images)),
                share_text([hits(image) for image in images]),
                mean_text([sum(image["right"]) for image in images], 1),
                share_text(successes(images)),
                share_text([image["valid"] > 0.5 for image in images]),
                mean_text([image["clip"] for image in images], 3),
                f"{result.seconds:.1f}",
            )
        )
    return markdown(head, lines)


def hole_table(results: Sequence[Results]) -> str:
    """Inpainting rows: the hole against what was there, and the judge on the whole picture."""
    base = next((r for r in results if r.row.key == "h-soft"), results[0])
    head = ("method", "N", "PSNR in the hole, dB", f"against “{base.row.label}”, dB",
            "all eight right, %", "shape right, %", "valid, %", "s per image")  # fmt: skip
    lines = []
    for result in results:
        images = result.images
        pairs = zip(images, base.images, strict=True)
        change = [image["psnr"] - other["psnr"] for image, other in pairs]
        lines.append(
            (
                result.row.label,
                str(len(images)),
                mean_text([image["psnr"] for image in images], 1),
                "" if result is base else f"{mean(change)[0]:+.1f} ± {mean(change)[1]:.1f}",
                share_text([hits(image) for image in images]),
                share_text([image["right"][0] for image in images]),
                share_text([image["valid"] > 0.5 for image in images]),
                f"{result.seconds:.1f}",
            )
        )
    return markdown(head, lines)


def steps_table(results: Sequence[Results]) -> str:
    """Success at the steps that a long run was looked at, the average kept."""
    head = ["steps"]
    for result in results:
        head += [f"{result.row.label}: right, %", "all eight, %", "CLIP"]
    columns = [
        {name: part for name, part in result.replayed("looks").items() if name.endswith(" average")}
        for result in results
    ]
    lines = []
    for name in columns[0]:
        cells = [name.split()[0]]
        for column in columns:
            images = column[name]["images"]
            cells += [
                share_text(successes(images)),
                share_text([hits(image) for image in images]),
                mean_text([image["clip"] for image in images], 3),
            ]
        lines.append(cells)
    return markdown(head, lines)


def keep_table(result: Results) -> str:
    """What to return: the last features, their average, or the best by the smoothed loss."""
    looks = result.replayed("looks")
    lines = []
    for steps in dict.fromkeys(name.split()[0] for name in looks):
        found = [looks[f"{steps} {keep}"]["images"] for keep in ("last", "average", "best")]
        lines.append([steps, *(share_text(successes(images)) for images in found)])
    return markdown(("steps", "last, %", "average, %", "best so far, %"), lines)


def rules_table(result: Results) -> str:
    """Early stopping against fixed numbers of steps, the average kept."""
    looks = result.replayed("looks")
    fixed = {f"{name.split()[0]} steps": p for name, p in looks.items() if name.endswith("average")}
    lines = []
    for name, part in (fixed | result.replayed("rules")).items():
        steps = part["steps"]
        lines.append(
            (
                name,
                f"{mean(steps)[0]:.0f}",
                f"{min(steps)} to {max(steps)}",
                share_text(successes(part["images"])),
                mean_text([image["clip"] for image in part["images"]], 3),
            )
        )
    return markdown(("rule", "mean steps", "range", "right, %", "CLIP"), lines)
