"""Whether a device computes what the CPU does: tokenizers of every kind, guides, and a whole run.

The CPU's side is float64 where the models are small, else float32, always without TF32. The bounds
are several times what the CPU's own float32, bfloat16 and float16 differ from it: rounding passes,
and a fault, which changes half of the numbers, does not.

Axes: b images, n tokens, d token size, s = image size.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

import tokenopt_core as tc
from tokenopt_core import OptimizeConfig, Tokenizer
from tokenopt_core.demo import render as draw
from tokenopt_core.demo import sample
from tokenopt_core.optimize.objective import Run, objective
from tokenopt_core.optimize.precision import first_scale

from ..speed.clock import exact_float32, wait_for
from ..speed.models import DEMO, Models

Row = dict[str, Any]  # see `row`
CPU = torch.device("cpu")
STRICT = "float32, no TF32"
PRECISIONS = {
    STRICT: torch.float32,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_TEN_BITS = {"embedding": 0.01, "losses": 0.01, "images": 0.05, "gradient": 0.2}
# Of a difference's length relative to that of the expected; losses (-1 to 1) are not divided.
BOUNDS = {
    STRICT: {"features": 1e-4, "embedding": 1e-4, "losses": 1e-4, "images": 1e-4, "gradient": 1e-3},
    "float32": _TEN_BITS,  # of TF32, which is torch's default for convolutions where it exists
    "bfloat16": {"embedding": 0.05, "losses": 0.03, "images": 0.2, "gradient": 0.5},
    "float16": _TEN_BITS,
}
NEAR_TIE = 1e-5  # of the distances to two codes, relative to the vectors' lengths
AS_GOOD = 0.05  # of the final losses of two runs that went apart at a near tie
PROMPT = "a large green circle in the middle, plain sky background, bright"


def row(
    models: str,
    precision: str,
    what: str,
    difference: float,
    bound: float,
    own: float | None = None,
    note: str = "",
) -> Row:
    """One comparison. NaN is a difference too, and passes nowhere.

    Args:
        own: the CPU's own difference in the same precision, where it is known.
    """
    told = {"models": models, "precision": precision, "what": what, "difference": difference}
    return told | {"bound": bound, "own": own, "note": note, "passed": difference <= bound}


def failure(models: str, precision: str, error: Exception) -> Row:
    """What could not be compared."""
    note = f"{type(error).__name__}: {error}".splitlines()[0]
    return row(models, precision, "error", math.nan, 0.0, note=note)


def called(models: Models) -> str:
    """The names of a tokenizer and its guide, as a table has them."""
    return ", ".join(dict.fromkeys(models[:2]))


def compare(models: Models, device: torch.device, *, exactly: bool) -> Iterator[Row]:
    """What the device and the CPU make of the same pictures, in every precision.

    Args:
        exactly: the CPU's side is float64, and its own differences are told.
    """
    names, here, there = called(models), models.on(CPU), models.on(device)
    side, source = here[0].spec.image_size, torch.Generator().manual_seed(1)
    larger = torch.rand(1 + exactly, 3, side + 16, side + 40, generator=source)
    with exact_float32(), torch.no_grad():
        reference = copy.deepcopy(here[0]).double() if exactly else here[0]
        features = reference.encode(larger)
        yield from _codes(names, here[0], there[0], larger, features)
    pictures = torch.rand(len(larger), 3, side, side, generator=source)
    with exact_float32():
        dtype = torch.float64 if exactly else torch.float32
        expected = _looked(*here, features, pictures, dtype)
    for precision, dtype in PRECISIONS.items():
        try:
            with exact_float32() if precision == STRICT else nullcontext():
                found = _looked(*there, features, pictures, dtype)
        except Exception as error:  # bfloat16, say, may be unknown to a card that has the others
            yield failure(names, precision, error)
            continue
        own = _looked(*here, features, pictures, dtype) if exactly and device != CPU else {}
        for what, value in expected.items():
            bound = BOUNDS[precision][what]
            itself = apart(own[what], value, what) if own else None
            yield row(names, precision, what, apart(found[what], value, what), bound, itself)


def run(device: torch.device, steps: int) -> Iterator[Row]:
    """A short run of the demo models on both: the losses for as long as the codes agree, and at the
    end the same codes or a loss as good."""
    tokenizer, guide = DEMO.on(CPU)
    features = tokenizer.encode(draw(sample(2, seed=7), seed=7))
    judge = tc.ClipLoss(guide, PROMPT)

    def final(step: tc.Step) -> tuple[Tensor, float]:
        images, quantized = tc.render(tokenizer, step.result.cpu())
        return quantized.codes, judge(images).mean().item()

    with exact_float32():
        expected, pace = _run(CPU, features, "float32", steps)
    codes, loss = final(expected[-1])
    for precision, dtype in PRECISIONS.items():
        try:
            with exact_float32() if precision == STRICT else nullcontext():
                found, its_pace = _run(device, features, str(dtype).removeprefix("torch."), steps)
            pairs = list(zip(found, expected, strict=True))  # one that stopped early is shorter
        except Exception as error:
            yield failure("run of the demo", precision, error)
            continue
        same = [mine.codes.cpu().equal(its.codes) for mine, its in pairs]
        alike = (*same, False).index(False)
        worst = max((apart(a.loss, b.loss, "losses") for a, b in pairs[:alike]), default=math.nan)
        bound = BOUNDS[precision]["losses"]
        note = f"the codes agree in {alike} of {steps} steps"
        yield row("run of the demo", precision, "losses", worst, bound, note=note)
        its_codes, its_loss = final(found[-1])
        note = (
            f"{int((its_codes != codes).sum())} of {codes.numel()} codes differ, losses "
            f"{its_loss:.4f} and {loss:.4f}; {1000 * its_pace:.1f} ms a step, on the CPU "
            f"{1000 * pace:.1f}"
        )
        worse = 0.0 if its_codes.equal(codes) else its_loss - loss
        yield row("run of the demo", precision, "end", worse, AS_GOOD, note=note)


def apart(found: Tensor, expected: Tensor, what: str) -> float:
    """How far a result is from the expected one, computed on the CPU in float64; NaN if it has."""
    found, expected = found.detach().cpu().double(), expected.detach().cpu().double()
    if what == "losses":
        return (found - expected).abs().max().item()
    return ((found - expected).norm() / expected.norm()).item()


def _looked(
    tokenizer: Tokenizer, guide: tc.Guide, features: Tensor, pictures: Tensor, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Embedding, losses, images and gradient on the models' device, computed in `dtype`.

    Args:
        features: (b, n, d) on the CPU.
        pictures: (b, 3, s, s) that the losses compare with; on the CPU, as those of a node are.
    """
    device, count = tokenizer.weights_device, len(features)
    source = torch.Generator().manual_seed(3)
    spec, size = tokenizer.spec, guide.image_size
    shape = (1, spec.text_length, spec.text_size)
    text = torch.randn(shape, generator=source) if spec.text_length else None
    with torch.no_grad():
        seen = torch.rand(2, 3, size, size, generator=source).to(device)
        embedding = guide.cast(dtype).encode_image(seen)
    run = Run(
        tokenizer=tokenizer.cast(dtype),
        loss=_every_loss(guide, pictures).seeded(range(count)).cast(dtype),
        config=OptimizeConfig(),
        device=device,
        dtype=torch.float32 if dtype == torch.float64 else dtype,  # which is none of autocast's
        text=text,
    )
    result = objective(run, features.to(device), 0, [first_scale(dtype)] * count)
    found = {"embedding": embedding, "losses": torch.stack(list(result.terms.values()))}
    return found | {"images": result.images, "gradient": result.gradient}


def _every_loss(guide: tc.Guide, pictures: Tensor) -> tc.Loss:
    """One of each kind."""
    mask = torch.zeros_like(pictures[:1, :1])
    mask[..., : mask.shape[-1] // 2] = 1
    parts = (
        tc.ClipLoss(guide, "a large red circle | dark:-0.5", "small", crops=2),
        tc.ClipImageLoss(guide, pictures[:1], crops=0),
        tc.MaskedComposite(tc.ClipLoss(guide, "square", crops=1), pictures, mask),
        tc.MaskedL1Loss(pictures, mask),
        tc.MaskedL2Loss(pictures[:1], mask),
        tc.TotalVariationLoss(),
        tc.RangeLoss(),
    )
    return tc.WeightedSum([(1.0, part) for part in parts])


def _codes(
    names: str, here: Tokenizer, there: Tokenizer, pictures: Tensor, features: Tensor
) -> Iterator[Row]:
    """The features of pictures, their codes, and the codes of many random features."""
    found, own = there.encode(pictures.to(there.weights_device)), here.encode(pictures)
    distances = [apart(each, features, "features") for each in (found, own)]
    yield row(names, STRICT, "features", distances[0], BOUNDS[STRICT]["features"], distances[1])
    if here.spec.codebook_size is None:
        return
    shape = (4096 // here.spec.num_tokens, *features.shape[1:])
    many = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    for what, ours, theirs in (
        ("codes", features, found),
        ("codes of random features", many, many.to(there.weights_device)),
    ):
        unexplained, note = _near_ties(here, ours, theirs.cpu(), there.quantize(theirs).codes.cpu())
        yield row(names, STRICT, what, unexplained, NEAR_TIE, note=note)


def _near_ties(here: Tokenizer, ours: Tensor, theirs: Tensor, codes: Tensor) -> tuple[float, str]:
    """How much farther than the nearest entries the device's codes (b, n) are from the CPU's
    features (b, n, d), beyond twice what the features differ, which explains as much."""
    entries, normalize = here.quantize.codebook().double(), here.quantize.normalize
    expected = here.quantize(ours.float()).codes
    ours, theirs = normalize(ours.double()), normalize(theirs.double())
    gaps = (ours - entries[codes]).norm(dim=-1) - (ours - entries[expected]).norm(dim=-1)
    lengths = ours.norm(dim=-1) + entries.norm(dim=-1).mean()
    unexplained = (gaps - 2 * (ours - theirs).norm(dim=-1)) / lengths
    note = f"{int((codes != expected).sum())} of {codes.numel()} differ"
    if not codes.equal(expected):
        note += f", whose distances are {gaps.max().item():.0e} apart"
    return max(0.0, unexplained.max().item()), note


def _run(
    device: torch.device, features: Tensor, precision: str, steps: int
) -> tuple[list[tc.Step], float]:
    """All steps of a run of the demo models on the device, and the seconds of one."""
    tokenizer, guide = DEMO.on(device)
    config = OptimizeConfig(steps=steps, lr=0.3, precision=precision)
    run = tc.optimize(tokenizer, tc.ClipLoss(guide, PROMPT, crops=4), features, config, seeds=3)
    done = [next(run)]  # what is made only once is not counted
    wait_for(device)
    began = time.perf_counter()
    done += run
    wait_for(device)
    return done, (time.perf_counter() - began) / max(1, steps - 1)
