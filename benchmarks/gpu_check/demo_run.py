"""A short run of the demo models on a device and on the CPU, compared step by step."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from tokenopt_core import ClipLoss, OptimizeConfig, Step, optimize, render
from tokenopt_core.demo import render as draw
from tokenopt_core.demo import sample

from ..speed.clock import exact_float32, wait_for
from ..speed.models import DEMO
from .rows import BOUNDS, CPU, PRECISIONS, RUN, Row, apart, failure, row, scope_of

PROMPT = "a large green circle in the middle, plain sky background, bright"
AS_GOOD = 0.05  # of the final losses of two runs that went apart at a near tie


def compare_run(device: torch.device, steps: int) -> Iterator[Row]:
    """A short run of the demo models on both: the losses for as long as the codes agree, and at the
    end the same codes or a loss as good."""
    tokenizer, guide = DEMO.on(CPU)
    features = tokenizer.encode(draw(sample(2, seed=7), seed=7))
    judge = ClipLoss(guide, PROMPT)

    def final(step: Step) -> tuple[Tensor, float]:
        images, quantized = render(tokenizer, step.result.cpu())
        return quantized.codes, judge(images).mean().item()

    with exact_float32():
        expected, pace = _run(CPU, features, "float32", steps)
    codes, loss = final(expected[-1])
    for precision, dtype in PRECISIONS.items():
        try:
            with scope_of(precision):
                name = str(dtype).removeprefix("torch.")
                actual, its_pace = _run(device, features, name, steps)
            pairs = list(zip(actual, expected, strict=True))  # one that stopped early is shorter
        except Exception as error:
            yield failure(RUN, precision, error)
            continue
        same = [mine.codes.cpu().equal(its.codes) for mine, its in pairs]
        alike = (*same, False).index(False)
        worst = max((apart(a.loss, b.loss, "losses") for a, b in pairs[:alike]), default=math.nan)
        bound = BOUNDS[precision]["losses"]
        note = f"the codes agree in {alike} of {steps} steps"
        yield row(RUN, precision, "losses", worst, bound, note=note)
        its_codes, its_loss = final(actual[-1])
        note = (
            f"{int((its_codes != codes).sum())} of {codes.numel()} codes differ, losses "
            f"{its_loss:.4f} and {loss:.4f}; {1000 * its_pace:.1f} ms a step, on the CPU "
            f"{1000 * pace:.1f}"
        )
        worse = 0.0 if its_codes.equal(codes) else its_loss - loss
        yield row(RUN, precision, "end", worse, AS_GOOD, note=note)


def _run(
    device: torch.device, features: Tensor, precision: str, steps: int
) -> tuple[list[Step], float]:
    """All steps of a run of the demo models on the device, and the seconds of one."""
    tokenizer, guide = DEMO.on(device)
    config = OptimizeConfig(steps=steps, lr=0.3, precision=precision)
    run = optimize(tokenizer, ClipLoss(guide, PROMPT, crops=4), features, config, seeds=3)
    done = [next(run)]  # what is made only once is not counted
    wait_for(device)
    began = time.perf_counter()
    done += run
    wait_for(device)
    return done, (time.perf_counter() - began) / max(1, steps - 1)
