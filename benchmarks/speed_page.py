"""What the speed benchmark prints: Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def page(found: dict[str, Any]) -> str:
    """All tables, those that were measured."""
    machine = ", ".join(f"{k}: {v}" for k, v in found["machine"].items() if v is not None)
    parts = [machine]
    for key, title in (("loop", "batch 1"), ("loop of many", "a larger batch")):
        if key in found:
            parts.append(f"One step of TiTok-L-32 with ViT-B/32, 8 crops, {title}:")
            parts.append(_loop(found[key]))
    traces = found["traces"]
    same = "the same losses" if traces["equal"] else "DIFFERENT LOSSES"
    parts.append(
        f"In float32 both loops show {same}: the largest relative difference in "
        f"{len(traces['plain'])} steps is {traces['error']:.1e}."
    )
    if "models" in found:
        parts += ["The models alone, plain float32 and ours:", _models(found["models"])]
    if "search" in found:
        parts.append(
            "Exact search of one position (demo tokenizer): "
            f"{found['search']['share_of_decode_floor']:.0%} of the speed of decoding alone."
        )
    if "the demo edit" in found:
        edit = found["the demo edit"]
        parts.append(f"An edit by the demo models, {edit['steps']} steps: {edit['seconds']:.1f} s.")
    parts += _nodes(found)
    if "growth" in found:
        parts += [_growth(kind, rows) for kind, rows in found["growth"].items()]
    return "\n\n".join(parts)


def _loop(rows: dict[str, dict[str, float]]) -> str:
    head = ["loop", "s / step", "plain / it", "useful GFLOP", "of the matrix rate"]
    if "peak_mib" in next(iter(rows.values())):
        head.append("peak above the float32 weights, MiB")
    return _table(
        head,
        (
            (
                name,
                f"{row['seconds']:.3f}",
                f"{row['ratio']:.2f}",
                f"{row['gflop']:.0f}",
                f"{row['share_of_matrix_rate']:.0%} of {row['matrix_gflops']:.0f} GFLOP/s",
                *([f"{row['peak_mib']:.0f}"] if "peak_mib" in row else []),
            )
            for name, row in rows.items()
        ),
    )


def _models(jobs: dict[str, dict[str, float]]) -> str:
    head = ("what", "plain, s", "ours, s", "plain / ours", "of the matrix rate")
    return _table(
        head,
        (
            (
                name,
                f"{job['plain_seconds']:.3f}",
                f"{job['seconds']:.3f}",
                f"{job['ratio']:.2f}",
                f"{job['share_of_matrix_rate']:.0%}",
            )
            for name, job in jobs.items()
        ),
    )


def _nodes(found: dict[str, Any]) -> list[str]:
    """What the pack adds in ComfyUI."""
    parts = []
    if "import of the pack" in found:
        part = found["import of the pack"]
        parts.append(
            f"Import of the pack in ComfyUI: {part['seconds']:.2f} s (at most "
            f"{part['most_seconds']:.2f}; first start {part['first_start_seconds']:.2f}), "
            f"{part['modules']} modules; besides its own: {', '.join(part['others']) or 'nothing'}."
        )
    if "overhead of reporting" in found:
        part = found["overhead of reporting"]
        parts.append(
            f"Progress, a preview every {part['preview_every']} steps and cancel checks add "
            f"{part['share']:.1%} ± {part['noise']:.1%} to an edit of {part['steps']} steps "
            f"({part['processor_share']:.1%} ± {part['processor_noise']:.1%} of processor time)."
        )
    return parts


def _growth(kind: str, rows: Sequence[dict[str, float]]) -> str:
    head = (kind, "seconds", *(["s / image"] if "per_image" in rows[0] else []))
    return _table(
        head,
        (
            (str(row[kind]), *(f"{row[k]:.3f}" for k in ("seconds", "per_image") if k in row))
            for row in rows
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
