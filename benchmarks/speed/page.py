"""The page of the speed benchmark: tables and sentences of its figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..markdown import table_of


def page(figures: dict[str, Any]) -> str:
    """The machine, and all tables of what was measured."""
    machine = ", ".join(f"{k}: {v}" for k, v in figures["machine"].items() if v is not None)
    return "\n\n".join([machine, *tables(figures)])


def tables(figures: dict[str, Any]) -> list[str]:
    """Tables and sentences about the parts that were measured."""
    parts = []
    for key, title in (("loop", "batch 1"), ("loop of many", "a larger batch")):
        if key in figures:
            parts.append(f"One step of TiTok-L-32 with ViT-B/32, 8 crops, {title}:")
            parts.append(_loop(figures[key]))
    if "traces" in figures:
        traces = figures["traces"]
        same = "the same losses" if traces["equal"] else "DIFFERENT LOSSES"
        parts.append(
            f"In float32 both loops show {same}: the largest relative difference in "
            f"{len(traces['plain'])} steps is {traces['error']:.1e}."
        )
    if "models" in figures:
        parts += ["The models alone, plain float32 and ours:", _models(figures["models"])]
    if "search" in figures:
        parts.append(
            "Exact search of one position (demo tokenizer): "
            f"{figures['search']['share_of_decode_floor']:.0%} of the speed of decoding alone."
        )
    if "the demo edit" in figures:
        edit = figures["the demo edit"]
        parts.append(f"An edit by the demo models, {edit['steps']} steps: {edit['seconds']:.1f} s.")
    if "generation" in figures:
        parts += ["Generation, decoding included:", _generation(figures["generation"])]
    parts += _nodes(figures)
    if "growth" in figures:
        parts += [_growth(kind, rows) for kind, rows in figures["growth"].items()]
    return parts


def _loop(rows: dict[str, dict[str, float]]) -> str:
    columns = {
        "loop": lambda name: name,
        "s / step": lambda name: f"{rows[name]['seconds']:.3f}",
        "plain / it": lambda name: f"{rows[name]['ratio']:.2f}",
        "useful GFLOP": lambda name: f"{rows[name]['gflop']:.0f}",
        "of the matrix rate": lambda name: (
            f"{rows[name]['share_of_matrix_rate']:.0%} of {rows[name]['matrix_gflops']:.0f} GFLOP/s"
        ),
    }
    if "peak_mib" in next(iter(rows.values())):
        head = "peak above the float32 weights, MiB"
        columns[head] = lambda name: f"{rows[name]['peak_mib']:.0f}"
    return table_of(rows, columns, numbers_right=False)


def _models(jobs: dict[str, dict[str, float]]) -> str:
    columns = {
        "what": lambda name: name,
        "plain, s": lambda name: f"{jobs[name]['plain_seconds']:.3f}",
        "ours, s": lambda name: f"{jobs[name]['seconds']:.3f}",
        "plain / ours": lambda name: f"{jobs[name]['ratio']:.2f}",
        "of the matrix rate": lambda name: f"{jobs[name]['share_of_matrix_rate']:.0%}",
    }
    return table_of(jobs, columns, numbers_right=False)


def _generation(rows: dict[str, dict[str, Any]]) -> str:
    columns = {
        "generator": lambda name: name,
        "steps": lambda name: str(rows[name]["steps"]),
        "images": lambda name: str(rows[name]["batch"]),
        "precision": lambda name: rows[name]["precision"],
        "plain, images / s": lambda name: f"{rows[name]['plain_images_per_second']:.3g}",
        "ours, images / s": lambda name: f"{rows[name]['images_per_second']:.3g}",
        "ours / plain": lambda name: f"{rows[name]['ratio']:.2f}",
    }
    return table_of(rows, columns, numbers_right=False)


def _nodes(figures: dict[str, Any]) -> list[str]:
    """What the pack adds in ComfyUI."""
    parts = []
    if "import of the pack" in figures:
        part = figures["import of the pack"]
        parts.append(
            f"Import of the pack in ComfyUI: {part['seconds']:.2f} s (at most "
            f"{part['most_seconds']:.2f}; first start {part['first_start_seconds']:.2f}), "
            f"{part['modules']} modules; besides its own: {', '.join(part['others']) or 'nothing'}."
        )
    if "overhead of reporting" in figures:
        part = figures["overhead of reporting"]
        parts.append(
            f"Progress, a preview every {part['preview_every']} steps and cancel checks add "
            f"{part['share']:.1%} ± {part['noise']:.1%} to an edit of {part['steps']} steps "
            f"({part['processor_share']:.1%} ± {part['processor_noise']:.1%} of processor time)."
        )
    return parts


def _growth(kind: str, rows: Sequence[dict[str, float]]) -> str:
    columns = {kind: lambda row: str(row[kind]), "seconds": lambda row: f"{row['seconds']:.3f}"}
    if "per_image" in rows[0]:
        columns["s / image"] = lambda row: f"{row['per_image']:.3f}"
    return table_of(rows, columns, numbers_right=False)
