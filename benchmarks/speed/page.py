"""What the speed benchmark and the check of a GPU print: Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

# Parts of the check -> what benchmarks.speed calls them.
SPEED = {
    "speed, batch 1": "loop",
    "speed, batch 8": "loop of many",
    "speed, the same losses": "traces",
    "speed, models alone": "models",
    "speed, search": "search",
}
WHAT = (
    "features",
    "codes",
    "codes of random features",
    "embedding",
    "losses",
    "images",
    "gradient",
)
NAME = 90  # characters of a kernel's name
RUN = "run of the demo"


def page(found: dict[str, Any]) -> str:
    """The machine, and all tables of what was measured."""
    machine = ", ".join(f"{k}: {v}" for k, v in found["machine"].items() if v is not None)
    return "\n\n".join([machine, *tables(found)])


def tables(found: dict[str, Any]) -> list[str]:
    """Tables and sentences about the parts that were measured."""
    parts = []
    for key, title in (("loop", "batch 1"), ("loop of many", "a larger batch")):
        if key in found:
            parts.append(f"One step of TiTok-L-32 with ViT-B/32, 8 crops, {title}:")
            parts.append(_loop(found[key]))
    if "traces" in found:
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
    return parts


def check_page(found: dict[str, Any]) -> str:
    """Everything: the machine, what failed, and a table of each part."""
    parts = found["parts"]
    results = {name: part["result"] for name, part in parts.items() if "result" in part}
    rows = [row for result in results.values() if isinstance(result, list) for row in result]
    texts = [f"# Check of {found['machine']['device']}", _machine(found), _state(found, rows)]
    texts.append(table(("part", "seconds", ""), (_part(name, parts[name]) for name in parts)))
    if rows:
        texts += ["## Results against the CPU's", _results(rows), *_runs(rows)]
    speed = {key: results[name] for name, key in SPEED.items() if name in results}
    if speed:
        texts += ["## Speed", *tables(speed)]
    if "memory" in results:
        peaks = ((name, f"{mib:.0f}") for name, mib in results["memory"].items())
        texts += ["## Memory", table(("first step", "MiB above the float32 weights"), peaks)]
    if "profile of a step" in results:
        texts += ["## One step", *_profile(results["profile of a step"])]
    return "\n\n".join(texts)


def _machine(found: dict[str, Any]) -> str:
    told = (f"{key}: {value}" for key, value in found["machine"].items() if value is not None)
    return "; ".join(told) + "."


def _state(found: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    """Whether it is complete, and everything that failed."""
    lines = []
    if found["quick"]:
        lines.append("**A quick check with small models: no figure of speed is of worth.**")
    if not found["complete"]:
        lines.append(f"**Not complete: {found.get('cut') or found['running'] or 'under way'}.**")
    wrong = [row for row in rows if not row["passed"]]
    lines.append(f"{len(rows) - len(wrong)} of {len(rows)} comparisons passed.")
    for row in wrong:
        own = "" if row["own"] is None else f", the CPU's own {row['own']:.1e}"
        lines.append(
            f"- FAILED {row['models']}, {row['precision']}, {row['what']}: {row['difference']:.1e} "
            f"apart, at most {row['bound']:g} expected{own} {row['note']}"
        )
    return "\n".join(lines)


def _part(name: str, part: dict[str, Any]) -> tuple[str, str, str]:
    told = "done" if "result" in part else ""
    for key in ("skipped", "error"):
        if key in part:
            first = part[key].strip().splitlines()[0].replace("|", "/")
            told = f"{key}: {first}"
    return name, f"{part['seconds']:.1f}", told


def _results(rows: Sequence[dict[str, Any]]) -> str:
    """A line for each pair of models and precision."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        text = f"{row['difference']:.0e}{'' if row['passed'] else ' FAILED'}"
        if row["what"].startswith("codes"):
            text = row["note"] + ("" if row["passed"] else " FAILED")
        found.setdefault((row["models"], row["precision"]), {})[row["what"]] = text
    lines = ((*key, *(cells.get(what, "") for what in WHAT)) for key, cells in found.items())
    return table(("models", "precision", *WHAT), (each for each in lines if any(each[5:])))


def _runs(rows: Sequence[dict[str, Any]]) -> list[str]:
    notes = [(r["precision"], r["what"], r["note"]) for r in rows if r["models"] == RUN]
    return [table(("run of the demo", "what", ""), notes)] if notes else []


def _profile(found: dict[str, Any]) -> list[str]:
    """Sentences and the table of kernels."""
    places = found["places"]
    return [
        f"{1000 * found['seconds']:.1f} ms a step. In the profiler {found['wall_ms']:.1f} ms: "
        f"{found['kernels']:.0f} kernels (of {found['of']}), {found['launches']:.0f} launches, "
        f"{found['copies']:.0f} copies; busy {found['busy_ms']:.1f} ms, gaps "
        f"{found['gaps_ms']:.1f} ms (the longest {found['longest_gap_ms']:.2f}); "
        f"{found['waits']:.1f} waits."
        + ("" if places is None else f" Lines that wait: {places or 'none'}."),
        table(
            ("kernel", "ms a step", "calls a step"),
            (
                (each["name"][:NAME].replace("|", "/"), f"{each['ms']:.3f}", f"{each['calls']:.0f}")
                for each in found["top"]
            ),
        ),
    ]


def _loop(rows: dict[str, dict[str, float]]) -> str:
    head = ["loop", "s / step", "plain / it", "useful GFLOP", "of the matrix rate"]
    if "peak_mib" in next(iter(rows.values())):
        head.append("peak above the float32 weights, MiB")
    return table(
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
    return table(
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
    return table(
        head,
        (
            (str(row[kind]), *(f"{row[k]:.3f}" for k in ("seconds", "per_image") if k in row))
            for row in rows
        ),
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
