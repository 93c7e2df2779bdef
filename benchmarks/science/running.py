"""One row run on one chunk of problems, and its figures."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from tokenopt_core import (
    ClipLoss,
    MaskedL1Loss,
    OptimizeConfig,
    WeightedSum,
    feather,
    optimize,
    render,
)
from tokenopt_core.demo import judge
from tokenopt_core.guides.retrieval import choose, embed_images, similarities
from tokenopt_core.optimize.starts import best_of, random_codes, random_features
from training.attention import plain_attention

from . import models
from .problems import NAMES, Problems, pool, texts
from .rows import LOOKS, PATIENCES, Row
from .stopping import Trace

# Of several tries the one with the lowest loss at the end counts, as in Easy Text Edit.
NEXT_TRY, LAST = 1_000_003, 10
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def run_row(row: Row, problems: Problems, precision: str) -> tuple[dict[str, Any], Tensor]:
    """Figures of every problem, and the images (n, 3, 64, 64).

    Returns:
        "images": one dictionary of figures per image (see `measure`); "seconds" of the run; for a
        traced row also "looks" and "rules": the same figures at other steps and for every stopping
        rule.
    """
    fast = DTYPES[precision]
    exact = models.tokenizer(row.model)
    loss, reset = _loss(row, problems, fast)
    config = OptimizeConfig(**row.config | {"steps": max(1, row.steps)})
    with plain_attention() if fast == torch.bfloat16 else nullcontext():
        features = _start(row, problems, fast)
        started = time.perf_counter()
        if row.steps:
            loop = models.tokenizer(row.model, fast)
            traces = []
            for number in range(row.tries):
                trace = Trace(config, keep_all=row.traced)
                seeds = [seed + number * NEXT_TRY for seed in problems.seeds]
                for step in optimize(loop, loss, features, config, seeds=seeds, reset=reset):
                    trace.add(step)
                traces.append(trace)
            ends = torch.stack([torch.tensor(trace.losses[-LAST:]).mean(0) for trace in traces])
            tried = torch.stack([trace.last for trace in traces])
            features = tried[ends.argmin(0), torch.arange(tried.shape[1])]
    seconds = time.perf_counter() - started
    images = _finish(row, problems, exact, features)
    record: dict[str, Any] = {"images": measure(images, problems), "seconds": round(seconds, 1)}
    if row.traced:
        record |= _replayed(row, problems, exact, traces[0])
    return record, images


def measure(images: Tensor, problems: Problems) -> list[dict[str, Any]]:
    """Per image what the judge and CLIP say.

    "seen": the judge's eight attributes; "right": which of them are as wanted; "valid" and
    "probability" (of shape and colour together) 0 to 1; "clip": similarity of the whole image to
    the caption; "psnr": against the seed, inside the hole.
    """
    seen = judge(images)
    right = seen.indices == problems.wanted.indices
    rows = torch.arange(len(images))
    chance = torch.stack(
        [seen.probabilities[k][rows, problems.wanted.indices[:, k]] for k in (0, 1)]
    ).prod(0)
    with torch.no_grad():
        similarity = -ClipLoss(models.guide(), problems.captions, crops=0)(images)
    hole = problems.holes
    error = ((images - problems.images).square() * hole).sum((1, 2, 3)) / (3 * hole.sum((1, 2, 3)))
    psnr = -10 * error.clamp(min=1e-10).log10()
    return [
        {
            "seen": seen.indices[i].tolist(),
            "right": right[i].tolist(),
            "valid": round(seen.valid[i].item(), 4),
            "probability": round(chance[i].item(), 4),
            "clip": round(similarity[i].item(), 4),
            "psnr": round(psnr[i].item(), 2),
        }
        for i in rows.tolist()
    ]


def hits(image: dict[str, Any], names: tuple[str, ...] = tuple(NAMES)) -> bool:
    """Whether the judge finds a valid scene that is right in all of `names`."""
    return image["valid"] > 0.5 and all(image["right"][NAMES.index(name)] for name in names)


def _loss(row: Row, problems: Problems, dtype: torch.dtype):
    """The loss, and what a reset puts back (None in a text edit)."""
    if row.task == "hole":
        loss = MaskedL1Loss(problems.images, feather(problems.holes, row.rim))
        return loss, loss.composite
    prompts = texts(problems.wanted, row.short)
    loss = ClipLoss(
        models.guide(dtype),
        prompts,
        crops=row.crops,
        flip=False,
        source_prompt=texts(problems.shown, row.short) if row.preserve else None,
        preserve=row.preserve,
    )
    if row.likeness:
        kept = MaskedL1Loss(problems.images, torch.zeros_like(problems.holes))
        loss = WeightedSum([(1, loss), (row.likeness, kept)])
    return loss, None


def _start(row: Row, problems: Problems, dtype: torch.dtype) -> Tensor:
    """The features (n, tokens, d) to start from."""
    exact, seeds = models.tokenizer(row.model), problems.seeds
    if row.start == "features":
        return random_features(exact.spec, seeds, row.spread)
    if row.start == "codes":
        return random_codes(exact, seeds)[1]
    if row.start == "best":
        drawn = [
            random_features(exact.spec, [seed + 1_000_000 * k for seed in seeds])
            for k in range(row.candidates)
        ]
        loss, _ = _loss(row, problems, dtype)
        loop = models.tokenizer(row.model, dtype)
        return best_of(loop, loss, torch.stack(drawn, dim=1), seeds=seeds)[0]
    images = problems.images
    if row.start == "pool":
        images = _associated(row, problems)
    if row.start == "hole":
        known = 1 - feather(problems.holes, row.rim)
        fill = (images * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
        images = images * known + fill * (1 - known)
    with torch.no_grad():
        return exact.encode(images)


def _associated(row: Row, problems: Problems) -> Tensor:
    """A scene (n, 3, 64, 64) of the pool for each caption, as CLIP sees the two."""
    options = dict(row.association)
    scenes = pool(options.pop("size"))
    scores = similarities(models.guide(), problems.captions, embed_images(models.guide(), scenes))
    return scenes[choose(scores, **options, seed=problems.seeds)]


def _finish(row: Row, problems: Problems, tokenizer, features: Tensor) -> Tensor:
    """The images (n, 3, 64, 64) of `features`, the known pixels of an inpainting put back."""
    images, _ = render(tokenizer, features, quantize=row.config.get("quantize", True))
    if row.task == "hole":
        soft = feather(problems.holes, row.rim)
        images = problems.images * (1 - soft) + images * soft
    return images


def _replayed(row: Row, problems: Problems, tokenizer, trace: Trace) -> dict[str, Any]:
    """Figures of a traced run at other steps and under every stopping rule."""
    looks = {}
    for steps in sorted({min(steps, row.steps) for steps in LOOKS}):
        for keep in ("average", "last", "best"):
            features = trace.at([steps] * len(problems.seeds), keep)
            images = _finish(row, problems, tokenizer, features)
            looks[f"{steps} {keep}"] = {"steps": steps, "images": measure(images, problems)}
    rules = {}
    for patience in PATIENCES:
        stops = trace.stops(patience)
        images = _finish(row, problems, tokenizer, trace.at(stops, "average"))
        rules[f"patience {patience}"] = {"steps": stops, "images": measure(images, problems)}
    return {"looks": looks, "rules": rules}
