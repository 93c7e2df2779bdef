"""Speed and memory of the optimization loop: the plain one, ours, and whether they agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tokenopt_core import ClipLoss, Guide, OptimizeConfig, Step, Tokenizer, optimize
from tokenopt_core.optimize.precision import compute_dtype
from tokenopt_core.optimize.starts import random_features

from .clock import Call, Rounds, alternate, count_flops, exact_float32, matrix_rate, peak_bytes
from .models import FULL, ModelSet
from .plain_loop import PlainLoop

PROMPT = "a photo of a red fox"
SEED, EMA_DECAY, FOREVER = 7, 0.98, 10**6
TRACE_TOLERANCE = 1e-4  # of two orders of the same float32 sums, over a few steps
HALF = {torch.float16: "float16", torch.bfloat16: "bfloat16", torch.float32: "float32"}


class Task(NamedTuple):
    """What both loops work on."""

    tokenizer: Tokenizer
    guide: Guide
    batch: int = 1
    crops: int = 8

    @property
    def device(self) -> torch.device:
        return self.tokenizer.weights_device

    def features(self) -> Tensor:
        spec = self.tokenizer.spec
        return random_features(spec, self.seeds()).to(self.device)

    def seeds(self) -> list[int]:
        return [SEED + index for index in range(self.batch)]

    def ours(self, precision: str, **settings: Any) -> Iterator[Step]:
        """An endless run of ours."""
        loss = ClipLoss(self.guide, PROMPT, crops=self.crops)
        config = OptimizeConfig(steps=FOREVER, ema_decay=EMA_DECAY, precision=precision, **settings)
        return optimize(self.tokenizer, loss, self.features(), config, seeds=self.seeds())

    def plain(self, dtype: torch.dtype) -> PlainLoop:
        """The plain loop; its weights ask for gradients from now on."""
        target = self.guide.encode_text([PROMPT]).to(self.device)
        return PlainLoop(
            self.tokenizer,
            self.guide,
            target,
            self.features(),
            seeds=self.seeds(),
            crops=self.crops,
            ema_decay=EMA_DECAY,
            dtype=dtype,
        )


def task(device: torch.device, batch: int = 1, crops: int = 8, model_set: ModelSet = FULL) -> Task:
    return Task(*model_set.on(device), batch, crops)


def compare(
    device: torch.device,
    rounds: int | Rounds,
    batch: int = 1,
    *,
    in_float32: bool = True,
    model_set: ModelSet = FULL,
) -> dict[str, Any]:
    """Seconds of a step of the plain loop and of ours, in float32 and in the device's own choice.

    On an accelerator the plain loop runs under float16 autocast, on a CPU in float32, as published.
    """
    work = task(device, batch, model_set=model_set)
    plain_dtype = torch.float32 if device.type == "cpu" else torch.float16
    chosen = compute_dtype(OptimizeConfig(), device, work.tokenizer)
    plain = work.plain(plain_dtype)
    precisions = dict.fromkeys(["float32"] * in_float32 + [HALF[chosen]])
    ours = {name: work.ours(name) for name in precisions}
    cases: dict[str, Call] = {"plain": lambda: _with_weight_gradients(work, plain)}
    for name, run in ours.items():
        cases[f"ours, {name}"] = lambda run=run: next(run)
    timings = alternate(cases, rounds, device)
    flops = count_flops(lambda: next(ours[HALF[chosen]]))
    rows = {}
    for name, timing in timings.items():
        dtype = plain_dtype if name == "plain" else getattr(torch, name.removeprefix("ours, "))
        rate = matrix_rate(dtype, device)
        rows[name] = {
            "seconds": timing.median,
            "ratio": timings["plain"].times(timing),
            "gflop": flops / 1e9,
            "share_of_matrix_rate": flops / timing.median / rate,
            "matrix_gflops": rate / 1e9,
        }
    _forget_weight_gradients(work)
    return rows


def peaks(
    device: torch.device, names: Sequence[str], model_set: ModelSet = FULL
) -> dict[str, float]:
    """MiB that a first step needs at its peak above the float32 weights, by the names of `compare`.

    Gradients of weights and copies of them count.
    """
    work = task(device, model_set=model_set)
    plain_dtype = torch.float32 if device.type == "cpu" else torch.float16

    def first_step(name: str) -> None:
        if name == "plain":
            _with_weight_gradients(work, work.plain(plain_dtype))
        else:
            next(work.ours(name.removeprefix("ours, ")))

    mib = {}
    for name in names:
        mib[name] = peak_bytes(partial(first_step, name), device) / 2**20
        _forget_weight_gradients(work)
    return mib


def traces(device: torch.device, steps: int = 3, model_set: ModelSet = FULL) -> dict[str, Any]:
    """The losses of both loops in float32, step by step, and their largest relative difference."""
    work = task(device, model_set=model_set)
    plain = work.plain(torch.float32)
    ours = work.ours("float32", official_rules=True)
    with exact_float32():
        pairs = [(float(plain.step()), float(next(ours).loss)) for _ in range(steps)]
    error = max(abs(a - b) / abs(a) for a, b in pairs)
    return {
        "plain": [a for a, _ in pairs],
        "ours": [b for _, b in pairs],
        "error": error,
        "equal": error <= TRACE_TOLERANCE,
    }


def _with_weight_gradients(work: Task, plain: PlainLoop) -> None:
    """A plain step with the published cost: gradients of all weights, added up and never read."""
    for module in (work.tokenizer, work.guide):
        module.requires_grad_(True)
    plain.step()
    for module in (work.tokenizer, work.guide):
        module.requires_grad_(False)


def _forget_weight_gradients(work: Task) -> None:
    for module in (work.tokenizer, work.guide):
        module.zero_grad(set_to_none=True)
