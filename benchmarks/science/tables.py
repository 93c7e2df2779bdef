"""Tables of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..markdown import table, table_of
from ..stats import mean, mean_text, percent_text, share_text
from .cache import Results
from .problems import CHANGED, NAMES
from .running import hits

Figures = Sequence[dict[str, Any]]  # what `running.measure` says, one entry per image


def successes(images: Figures) -> list[bool]:
    """A valid scene with the prompted shape and colour, by the judge."""
    return [hits(image, CHANGED) for image in images]


def right_text(images: Figures) -> str:
    """Share of the successes, in percent."""
    return share_text(successes(images))


def all_right_text(images: Figures) -> str:
    """Share of the valid scenes with all eight attributes right, in percent."""
    return share_text([hits(image) for image in images])


def clip_text(images: Figures) -> str:
    """Mean similarity to the caption, by CLIP."""
    return mean_text([image["clip"] for image in images], 3)


def _valid_text(images: Figures) -> str:
    return share_text([image["valid"] > 0.5 for image in images])


def _others_text(images: Figures) -> str:
    return percent_text([sum(image["right"][2:]) / (len(NAMES) - 2) for image in images])


def text_table(results: Sequence[Results]) -> str:
    """Text-guided rows: success and what it cost the rest."""
    columns = {
        "method": lambda r: r.row.label,
        "N": lambda r: str(len(r.images)),
        "shape and colour right, %": lambda r: right_text(r.images),
        "other six kept, %": lambda r: _others_text(r.images),
        "all eight, %": lambda r: all_right_text(r.images),
        "valid, %": lambda r: _valid_text(r.images),
        "judge's probability": lambda r: mean_text([i["probability"] for i in r.images]),
        "CLIP similarity": lambda r: clip_text(r.images),
        "s per image": lambda r: f"{r.seconds:.1f}",
    }
    return table_of(results, columns)


def association_table(results: Sequence[Results]) -> str:
    """Rows from chosen seeds: how much of the whole prompt came true."""
    columns = {
        "from, for so long": lambda r: r.row.label,
        "N": lambda r: str(len(r.images)),
        "all eight right, %": lambda r: all_right_text(r.images),
        "of eight right, mean": lambda r: mean_text([sum(i["right"]) for i in r.images], 1),
        "shape and colour right, %": lambda r: right_text(r.images),
        "valid, %": lambda r: _valid_text(r.images),
        "CLIP similarity": lambda r: clip_text(r.images),
        "s per image": lambda r: f"{r.seconds:.1f}",
    }
    return table_of(results, columns)


def hole_table(results: Sequence[Results]) -> str:
    """Inpainting rows: the hole against what was there, and the judge on the whole image."""
    base = next((r for r in results if r.row.key == "h-soft"), results[0])

    def gain(result: Results) -> str:
        if result is base:
            return ""
        pairs = zip(result.images, base.images, strict=True)
        change, half = mean([image["psnr"] - other["psnr"] for image, other in pairs])
        return f"{change:+.1f} ± {half:.1f}"

    columns = {
        "method": lambda r: r.row.label,
        "N": lambda r: str(len(r.images)),
        "PSNR in the hole, dB": lambda r: mean_text([i["psnr"] for i in r.images], 1),
        f"against “{base.row.label}”, dB": gain,
        "all eight right, %": lambda r: all_right_text(r.images),
        "shape right, %": lambda r: share_text([i["right"][0] for i in r.images]),
        "valid, %": lambda r: _valid_text(r.images),
        "s per image": lambda r: f"{r.seconds:.1f}",
    }
    return table_of(results, columns)


def steps_table(results: Sequence[Results]) -> str:
    """Success after some of the steps of a long run, the average kept."""
    head = ["steps"]
    for result in results:
        head += [f"{result.row.label}: right, %", "all eight, %", "CLIP"]
    columns = [_averages(result) for result in results]
    lines = []
    for steps in columns[0]:
        cells = [steps]
        for column in columns:
            images = column[steps]["images"]
            cells += [right_text(images), all_right_text(images), clip_text(images)]
        lines.append(cells)
    return table(head, lines)


def keep_table(result: Results) -> str:
    """What to return: the last features, their average, or the best by the smoothed loss."""
    replays = result.replayed("looks")
    lines = []
    for steps in dict.fromkeys(name.split()[0] for name in replays):
        kept = (replays[f"{steps} {keep}"]["images"] for keep in ("last", "average", "best"))
        lines.append([steps, *map(right_text, kept)])
    return table(("steps", "last, %", "average, %", "best so far, %"), lines)


def rules_table(result: Results) -> str:
    """Early stopping against fixed numbers of steps, the average kept."""
    rules = {f"{steps} steps": part for steps, part in _averages(result).items()}
    columns = {
        "rule": lambda rule: rule[0],
        "mean steps": lambda rule: f"{mean(rule[1]['steps'])[0]:.0f}",
        "range": lambda rule: f"{min(rule[1]['steps'])} to {max(rule[1]['steps'])}",
        "right, %": lambda rule: right_text(rule[1]["images"]),
        "CLIP": lambda rule: clip_text(rule[1]["images"]),
    }
    return table_of((rules | result.replayed("rules")).items(), columns)


def _averages(result: Results) -> dict[str, dict[str, Any]]:
    """Steps -> figures of a traced run after so many steps, the average kept."""
    replays = result.replayed("looks").items()
    return {name.split()[0]: part for name, part in replays if name.endswith(" average")}
