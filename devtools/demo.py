"""The demo, `python dev.py demo`: the easy text edit in a headless ComfyUI, judged and saved."""

from __future__ import annotations

import json
import sys
import time

from PIL import Image, ImageDraw, ImageFont

from .comfyui.client import Event, Graph, PromptRefused, Run
from .comfyui.layout import DEV, ROOT
from .comfyui.server import ComfyServer, ServerFailed
from .comfyui.template_files import api_graph
from .verdict import verdicts

TEMPLATE = "easy_text_edit"
OUTPUT = ROOT / "demo_output"
LOG = DEV / "logs" / "demo.log"
SIDE = 384  # pixels of each half of the side-by-side image


def main() -> int:
    started = time.monotonic()
    graph = api_graph(TEMPLATE)
    print(f"Starting ComfyUI without a window (log: {LOG.relative_to(ROOT)}) ...", flush=True)
    with ComfyServer(DEV / "demo-base", log=LOG) as server:
        device = "the CPU" if server.cpu else "the accelerator"
        print(f"It answers after {server.start_seconds:.0f} s and works on {device}.")
        client = server.client()
        run = client.run(graph, on_event=Progress(graph))
        if run.error:
            print(f"{run.error['node_type']} failed: {run.error['exception_message'].strip()}")
            return 1
        before = client.images(run, _saver(graph, "before"))
        after = client.images(run, _saver(graph, "after"))
    return _report(graph, run, before, after, started)


class Progress:
    """Prints what the server works on: a bar in a terminal, a line per tenth elsewhere."""

    def __init__(self, graph: Graph) -> None:
        self.titles = {number: _title(node) for number, node in graph.items()}
        self.tenth = 0

    def __call__(self, event: Event) -> None:
        if event.kind == "executing" and event.node:
            print(f"  {self.titles[event.node]}", flush=True)
        elif event.kind == "progress":
            self._show(event.data["value"], event.data["max"])

    def _show(self, value: int, maximum: int) -> None:
        tenth = 10 * value // maximum
        if sys.stdout.isatty():
            bar = "#" * (4 * tenth)
            print(f"\r    [{bar:40}] {value}/{maximum}", end="\n" * (value == maximum), flush=True)
        elif tenth != self.tenth:
            print(f"    {value}/{maximum}", flush=True)
        self.tenth = tenth


def _report(
    graph: Graph, run: Run, before: list[Image.Image], after: list[Image.Image], started: float
) -> int:
    number, editor = _node(graph, "TokenOpt_EasyTextEdit")
    prompt, steps, tries = (editor["inputs"][name] for name in ("prompt", "steps", "tries"))
    losses = json.loads(run.outputs[number]["tokenopt"][0])
    was, now = verdicts(before)[0], verdicts(after, prompt)[0]

    OUTPUT.mkdir(exist_ok=True)
    before[0].save(OUTPUT / "before.png")
    after[0].save(OUTPUT / "after.png")
    side_by_side(before[0], after[0], prompt).save(OUTPUT / "side_by_side.png")

    print(f"\nprompt   {prompt}")
    print(f"before   {was}")
    print(f"after    {now}")
    print(f"loss     {min(losses['loss_first']):.3f} -> {min(losses['loss_last']):.3f}")
    run_time = f"{losses['seconds']:.1f} s for {tries} tries of {steps} steps"
    print(f"time     {run_time}, {time.monotonic() - started:.0f} s in all")
    print(f"images   {OUTPUT.relative_to(ROOT)}/side_by_side.png (and before.png, after.png)")
    if now.success:
        print("The edit succeeded: the judge, which no loss knows, sees what the prompt names.")
        return 0
    missed = ", ".join(f"{name} {value}" for name, value in now.missed.items())
    print(f"The edit failed: {'missing ' + missed if now.valid else 'no valid scene'}.")
    return 1


def side_by_side(before: Image.Image, after: Image.Image, prompt: str) -> Image.Image:
    """One image of both, enlarged, the prompt below."""
    margin, foot = 16, 44
    sheet = Image.new("RGB", (2 * SIDE + 3 * margin, SIDE + margin + foot), "white")
    for column, image in enumerate((before, after)):
        large = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        sheet.paste(large, (margin + column * (SIDE + margin), margin))
    draw = ImageDraw.Draw(sheet)
    middle = SIDE + margin + foot // 2
    text = f"\N{LEFT DOUBLE QUOTATION MARK}{prompt}\N{RIGHT DOUBLE QUOTATION MARK}"
    for size in (20, 17, 14, 11):
        font = ImageFont.load_default(size)
        if draw.textlength(text, font) < sheet.width - 2 * margin:
            break
    draw.text((sheet.width // 2, middle), text, "black", font, anchor="mm")
    return sheet


def _node(graph: Graph, kind: str) -> tuple[str, dict]:
    return next((number, node) for number, node in graph.items() if node["class_type"] == kind)


def _saver(graph: Graph, name: str) -> str:
    prefix = f"tokenopt/{name}"
    for number, node in graph.items():
        if node["inputs"].get("filename_prefix") == prefix:
            return number
    raise SystemExit(f"{TEMPLATE} has no Save Image node with the prefix {prefix}.")


def _title(node: dict) -> str:
    return node.get("_meta", {}).get("title") or node["class_type"]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ServerFailed, PromptRefused, OSError, TimeoutError) as problem:
        sys.exit(f"dev.py: {problem}")
