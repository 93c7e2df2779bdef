"""The page of the check: the machine, all failures, and a table of each part."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from .. import markdown
from ..speed.page import tables
from .rows import RUN

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

table = partial(markdown.table, numbers_right=False)


def page(figures: dict[str, Any]) -> str:
    """Everything: the machine, what failed, and a table of each part."""
    parts = figures["parts"]
    results = {name: part["result"] for name, part in parts.items() if "result" in part}
    rows = [row for result in results.values() if isinstance(result, list) for row in result]
    texts = [f"# Check of {figures['machine']['device']}", _machine(figures), _state(figures, rows)]
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


def _machine(figures: dict[str, Any]) -> str:
    facts = (f"{key}: {value}" for key, value in figures["machine"].items() if value is not None)
    return "; ".join(facts) + "."


def _state(figures: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    """Whether it is complete, and everything that failed."""
    lines = []
    if figures["quick"]:
        lines.append("**A quick check with small models: no figure of speed is of worth.**")
    if not figures["complete"]:
        reason = figures.get("cut") or figures["running"] or "under way"
        lines.append(f"**Not complete: {reason}.**")
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
    state = "done" if "result" in part else ""
    for key in ("skipped", "error"):
        if key in part:
            first = part[key].strip().splitlines()[0].replace("|", "/")
            state = f"{key}: {first}"
    return name, f"{part['seconds']:.1f}", state


def _results(rows: Sequence[dict[str, Any]]) -> str:
    """A line for each pair of models and precision."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        text = f"{row['difference']:.0e}{'' if row['passed'] else ' FAILED'}"
        if row["what"].startswith("codes"):
            text = row["note"] + ("" if row["passed"] else " FAILED")
        cells.setdefault((row["models"], row["precision"]), {})[row["what"]] = text
    lines = ((*key, *(row.get(what, "") for what in WHAT)) for key, row in cells.items())
    return table(("models", "precision", *WHAT), (each for each in lines if any(each[5:])))


def _runs(rows: Sequence[dict[str, Any]]) -> list[str]:
    notes = [(r["precision"], r["what"], r["note"]) for r in rows if r["models"] == RUN]
    return [table(("run of the demo", "what", ""), notes)] if notes else []


def _profile(figures: dict[str, Any]) -> list[str]:
    """Sentences and the table of kernels."""
    places = figures["places"]
    return [
        f"{1000 * figures['seconds']:.1f} ms a step. In the profiler {figures['wall_ms']:.1f} ms: "
        f"{figures['kernels']:.0f} kernels (of {figures['of']}), "
        f"{figures['launches']:.0f} launches, {figures['copies']:.0f} copies; "
        f"busy {figures['busy_ms']:.1f} ms, gaps {figures['gaps_ms']:.1f} ms "
        f"(the longest {figures['longest_gap_ms']:.2f}); "
        f"{figures['waits']:.1f} waits."
        + ("" if places is None else f" Lines that wait: {places or 'none'}."),
        table(
            ("kernel", "ms a step", "calls a step"),
            (
                (each["name"][:NAME].replace("|", "/"), f"{each['ms']:.3f}", f"{each['calls']:.0f}")
                for each in figures["top"]
            ),
        ),
    ]
