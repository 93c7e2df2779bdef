"""A ComfyUI node that the speed benchmark brings: an edit bare and as Token Optimizer shows it.

It runs inside a real server, so that progress, previews and the loss curve go the way they go for a
user: over the server's event loop and a websocket to a page that listens.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT))  # last, so that nothing of ComfyUI's is hidden

from benchmarks.speed.clock import alternate  # noqa: E402

BLOCK = 10  # steps that are timed together: the steps of one preview
SEED = 7


class ReportingCost:
    """Seconds of blocks of steps, bare and reported in turn, as JSON."""

    CATEGORY, FUNCTION = "benchmark", "run"
    RETURN_TYPES, OUTPUT_NODE = (), True

    @classmethod
    def INPUT_TYPES(cls):
        sockets = ("TOKENOPT_TOKENIZER", "TOKENOPT_TOKENS", "TOKENOPT_LOSS")
        wanted = dict(zip(("tokenizer", "tokens", "loss"), [(s,) for s in sockets], strict=True))
        numbers = ("steps", "blocks", "preview_every")
        return {"required": wanted | {name: ("INT", {"min": 1}) for name in numbers}}

    def run(self, tokenizer, tokens, loss, steps, blocks, preview_every):
        node = _pack_module("optimize.run")
        config = node.make_config(
            tokenizer,
            lr=0.0,
            ema=True,
            ema_decay=0.95,
            token_noise=True,
            noise_scale=0.3,
            steps=steps,
        )
        with node.gradient_scope(tokenizer, *loss.guides) as device:
            batch = node.Batch(device, tokenizer.spec.image_size, len(tokens))
            work = (tokenizer.module, loss.build(batch), tokens.values.to(device), config)
            runs = {
                "bare": _bare(node, work),
                "reported": _reported(node, work, tokenizer, preview_every),
            }
            for run in runs.values():
                _advance(run, BLOCK // 2, [])  # a preview falls into the middle of its block
            processor: dict[str, list[float]] = {name: [] for name in runs}
            cases = {
                name: lambda run=run, spent=processor[name]: _advance(run, BLOCK, spent)
                for name, run in runs.items()
            }
            timings = alternate(cases, blocks, device)
        seconds = {name: timing.seconds for name, timing in timings.items()}
        spent = {name: times[-blocks:] for name, times in processor.items()}  # no warming up
        return {"ui": {"seconds": [seconds], "processor_seconds": [spent]}}


def _bare(node: ModuleType, work: tuple) -> Iterator[None]:
    """Step after step of one run after another: nothing but the library's loop."""
    for _ in count():
        for _ in node.optimize(*work, seeds=[SEED]):
            yield


def _reported(node: ModuleType, work: tuple, tokenizer, preview_every: int) -> Iterator[None]:
    """The same with all that Token Optimizer does with each step."""
    config = work[-1]
    for _ in count():
        show = _pack_module("host.progress")
        follow = show.RunProgress(config.steps, show.every(preview_every, config.steps))
        recorder = node._recorder(tokenizer, config, [SEED], work[2])
        trajectory = node.Trajectory(config.steps, 16)
        with _pack_module("host.stop").stoppable() as stop:
            for step in node.optimize(*work, seeds=[SEED]):
                recorder.add(step)
                trajectory.add(step.index, step.images)
                follow(step)
                assert not stop.raised
                yield


def _advance(run: Iterator[None], steps: int, spent: list[float]) -> None:
    """Some steps; notes the processor's seconds, of the server's other threads too."""
    before = time.process_time()
    for _ in range(steps):
        next(run)
    spent.append(time.process_time() - before)


def _pack_module(name: str) -> ModuleType:
    """A module of the pack's nodes as ComfyUI has loaded it."""
    (module,) = (sys.modules[key] for key in sys.modules if key.endswith(f"tokenopt.nodes.{name}"))
    return module


NODE_CLASS_MAPPINGS = {"TokenOptSpeed_ReportingCost": ReportingCost}
