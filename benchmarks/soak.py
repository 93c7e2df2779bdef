"""Soak test: hundreds of prompts over one ComfyUI server, its growth and the drift of results.

`python -m benchmarks.soak [--prompts 300] [--json FILE]`: all shipped workflows with few steps, in
an order that a seed gives, and between them cancels, errors, "free memory" and a neighbour that
treats the weights badly. Before, every so often and after, the server tells what it holds, and at
both ends the same prompts are run with nothing cached: their images must be the same to the bit.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from pathlib import Path

from devtools.comfyui.checks import node
from devtools.comfyui.client import Client, Graph, Run
from devtools.comfyui.layout import DEV, ROOT, make_base
from devtools.comfyui.server import ComfyServer
from devtools.templates.short import short_templates

from . import command, markdown

PACK = ROOT / "tests" / "server" / "hostile_pack"
MIB = 2**20
SNAPSHOTS = 10  # of what the server holds, beside those at both ends
WARM_UP = 20  # prompts, of every kind, before the first snapshot


def main() -> int:
    parser = command.parser("soak", __doc__)
    parser.add_argument("--prompts", type=int, default=300, help="after those of the warm-up")
    parser.add_argument("--seed", type=int, default=0, help="of the order")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there too")
    options = parser.parse_args()
    base = make_base(DEV / "soak-base", PACK)
    with ComfyServer(base, log=DEV / "logs" / "soak.log") as server:
        soak = Soak(server, random.Random(options.seed))
        report = soak.run(options.prompts)
    command.write_json(options.json, report)
    print_report(report)
    return 0 if not report["drifted"] and not report["unexpected"] else 1


class Soak:
    """One server under load, and what was seen of it."""

    def __init__(self, server: ComfyServer, draw: random.Random):
        self.client, self.base, self.draw = server.client(), server.base, draw
        self.templates = short_templates()
        self.counts: dict[str, int] = {}
        self.unexpected: list[str] = []
        self.snapshots: list[dict] = []

    def run(self, prompts: int) -> dict:
        """Everything, in order."""
        began = time.monotonic()
        for number in range(WARM_UP):
            self.step(number)
        first = self.results()
        self.snapshot(0)
        for number in range(1, prompts + 1):
            self.step(WARM_UP + number)
            if number % max(1, prompts // SNAPSHOTS) == 0:
                self.snapshot(number)
        last = self.results()
        return {
            "prompts": prompts,
            "seconds": time.monotonic() - began,
            "kinds": self.counts,
            "unexpected": self.unexpected,
            "snapshots": self.snapshots,
            "compared": len(first),
            "drifted": [name for name in first if first[name] != last[name]],
        }

    def step(self, number: int) -> None:
        """One prompt, of a kind that is drawn."""
        kinds = {"plain": 6, "another seed": 6, "cancel": 3, "error": 2, "free": 2, "abuse": 1}
        kind = self.draw.choices(list(kinds), list(kinds.values()))[0]
        name = self.draw.choice(list(self.templates))
        graph = json.loads(json.dumps(self.templates[name]))
        self.counts[kind] = self.counts.get(kind, 0) + 1
        ended = self.do(kind, graph, number)
        wanted = {"cancel": ("interrupted", "success"), "error": ("error",)}
        if ended.status not in wanted.get(kind, ("success",)):
            self.unexpected.append(f"{number} {kind} {name}: {ended.status} {ended.error}")

    def do(self, kind: str, graph: Graph, number: int) -> Run:
        """Runs the graph as its kind wants it."""
        if kind == "cancel":
            return cancelled(self.client, graph, self.draw.randrange(1, 12))
        if kind == "error":
            return self.client.run(failing(number))
        if kind == "free":
            self.client.free()
        elif kind == "abuse":
            return self.client.run(abused(self.draw.choice(("cast", "evict", "train")), number))
        elif kind == "another seed":
            for each in graph.values():
                if type(each["inputs"].get("seed")) is int:
                    each["inputs"]["seed"] = number
        return self.client.run(graph)

    def results(self) -> dict[str, list[str]]:
        """Digests of every image of every workflow, each computed anew; not of charts, which tell
        how long the run took."""
        digests = {}
        for name, graph in self.templates.items():
            self.forget()
            run = self.client.run(graph)
            saved = [file for out in run.outputs.values() for file in out.get("images", ())]
            timed = [file for file in saved if file["filename"].startswith("chart")]
            pixels = [self.client.view(file) for file in saved if file not in timed]
            digests[name] = [hashlib.sha256(image.tobytes()).hexdigest() for image in pixels]
        return digests

    def snapshot(self, after: int) -> None:
        """What the server holds now, with models and results forgotten."""
        self.forget()
        run = self.client.run({"1": node("Hostile_Process", nonce=10**6 + after)})
        (holdings,), (settings,) = run.outputs["1"]["holdings"], run.outputs["1"]["settings"]
        del settings["random seed"]  # ComfyUI draws names of previews from it
        folders = [self.base / name for name in ("output", "models", "user", "temp")]
        temporary = [f for folder in folders for f in folder.rglob("*partial*")]
        digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:12]
        self.snapshots.append(
            {"after": after, **holdings, "half files": len(temporary), "settings": digest}
        )
        print(f"after {after} prompts: {self.snapshots[-1]}", flush=True)

    def forget(self) -> None:
        """Makes the server forget models and results: after this prompt, if not before it."""
        self.client.free()
        self.client.run({"1": node("Hostile_Number", text="1", kind="str"),
                         "2": node("Hostile_Digest", value=["1", 0], nonce=0)})  # fmt: skip


def cancelled(client: Client, graph: Graph, after: int) -> Run:
    """A run that is cancelled at its n-th message."""
    events = []

    def cancel(event) -> None:
        events.append(event)
        if len(events) == after:
            client.interrupt()

    for each in graph.values():
        if "steps" in each["inputs"] and each["class_type"] == "TokenOpt_Optimize":
            each["inputs"]["steps"] = 100 + after
    return client.run(graph, on_event=cancel)


def failing(number: int) -> Graph:
    """A search whose loss gives nonsense, in the middle of its work."""
    return {
        "1": node("TokenOpt_LoadTokenizer", tokenizer="demo"),
        "2": _random_tokens(number),
        "3": node("Hostile_OddLoss", kind="one number"),
        "4": node("TokenOpt_PerturbSearch", tokenizer=["1", 0], tokens=["2", 0], loss=["3", 0],
                  positions="1", search="guided", share=0.1, direction="maximize", top_k=1),
        "5": node("PreviewImage", images=["4", 0]),
    }  # fmt: skip


def abused(how: str, number: int) -> Graph:
    """A neighbour spoils the weights, then they are used."""
    return {
        "1": node("TokenOpt_LoadTokenizer", tokenizer="demo"),
        "2": node("TokenOpt_LoadGuide", model="demo"),
        "3": _random_tokens(number),
        "4": node("Hostile_Abuse", tokenizer=["1", 0], guide=["2", 0], after=["3", 0], how=how),
        "5": node("TokenOpt_Decode", tokenizer=["4", 0], tokens=["3", 0]),
        "6": node("PreviewImage", images=["5", 0]),
    }  # fmt: skip


def _random_tokens(seed: int) -> dict:
    return node("TokenOpt_RandomTokens", tokenizer=["1", 0], seed=seed, batch_size=1, scale=1.0)


def print_report(report: dict) -> None:
    """The figures as a table, and what was not as it should be."""
    print(f"{report['prompts']} prompts in {report['seconds']:.0f} s: {report['kinds']}")
    columns = {
        "after": lambda held: str(held["after"]),
        "resident MiB": lambda held: f"{held['resident bytes'] / MIB:.1f}",
        "tensors MiB": lambda held: f"{held['tensor bytes'] / MIB:.1f}",
    }
    names = ("threads", "open files", "half files", "settings")
    columns |= {name: lambda held, name=name: str(held[name]) for name in names}
    print(markdown.table_of(report["snapshots"], columns, numbers_right=False))
    print(f"workflows compared at both ends: {report['compared']}, drifted: {report['drifted']}")
    for line in report["unexpected"]:
        print(f"unexpected: {line[:300]}")


if __name__ == "__main__":
    sys.exit(main())
