"""Speed of other jobs: models alone, a search, the shipped edit, growth with batch and steps."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor

from tokenopt_core import (
    ClipLoss,
    OptimizeConfig,
    SearchConfig,
    Tokenizer,
    load_guide,
    load_tokenizer,
    optimize,
    perturb_search,
)
from tokenopt_core.demo import render, sample
from tokenopt_core.optimize.precision import compute_dtype

from .clock import Call, Rounds, alternate, count_flops, matrix_rate
from .loop import HALF, task
from .models import FULL, ModelSet
from .models import tokenizer as random_tokenizer
from .plain_loop import plain_decode

ENCODE = "encode (float32, both the same)"
DEMO_STEPS = 300
SEARCH_BATCH = 16


def models_alone(
    device: torch.device, rounds: int | Rounds, model_set: ModelSet = FULL
) -> dict[str, Any]:
    """Seconds of encoding, decoding and its gradient, plain float32 and ours."""
    tokenizer = random_tokenizer(model_set.tokenizer, device)
    vqgan = random_tokenizer(model_set.vqgan, device)
    dtype = compute_dtype(OptimizeConfig(), device, tokenizer)
    fast, fast_vqgan = tokenizer, vqgan
    if dtype != torch.float32:
        fast, fast_vqgan = tokenizer.cast(dtype), vqgan.cast(dtype)
    side = tokenizer.spec.image_size
    image = torch.rand(1, 3, side, side).to(device)
    tokens, grid = (_tokens(module, image) for module in (tokenizer, vqgan))
    jobs: dict[str, tuple[Call, Call]] = {
        ENCODE: (lambda: tokenizer.encode(image), lambda: tokenizer.encode(image)),
        "decode": (lambda: plain_decode(tokenizer, tokens), lambda: fast.decode(tokens)),
        "decode and gradient": (
            lambda: _gradient(lambda t: plain_decode(tokenizer, t), tokens),
            lambda: _gradient(fast.decode, tokens),
        ),
        "MaskGIT-VQGAN: decode and gradient": (
            lambda: _gradient(lambda t: vqgan.decoder(_grid(t)), grid),
            lambda: _gradient(fast_vqgan.decode, grid),
        ),
    }
    return {
        name: _job(*pair, torch.float32 if name == ENCODE else dtype, device, rounds)
        for name, pair in jobs.items()
    }


def search(
    device: torch.device, rounds: int | Rounds, tokenizer: Tokenizer | None = None
) -> dict[str, Any]:
    """An exact search over one position, of the demo tokenizer, against decoding alone."""
    tokenizer = tokenizer or load_tokenizer("demo", device=device)
    spec, config = tokenizer.spec, SearchConfig(batch=SEARCH_BATCH)
    codes = torch.zeros(1, spec.num_tokens, dtype=torch.int64)
    tokens = tokenizer.lookup(codes.to(device)).repeat(SEARCH_BATCH, 1, 1)
    batches = -(-spec.codebook_size // SEARCH_BATCH)

    @torch.no_grad()
    def floor() -> None:
        for _ in range(batches):
            tokenizer.decode(tokens)

    calls = {
        "decode": floor,
        "search": lambda: list(perturb_search(tokenizer, codes, [0], config)),
    }
    timings = alternate(calls, rounds, device)
    return {
        "decode_seconds": timings["decode"].median,
        "search_seconds": timings["search"].median,
        "share_of_decode_floor": timings["decode"].times(timings["search"]),
    }


def demo_edit(device: torch.device, rounds: int) -> dict[str, Any]:
    """Seconds of an edit by the demo models, as the shipped template does it but 300 steps."""
    tokenizer, guide = load_tokenizer("demo", device=device), load_guide("demo", device=device)
    features = tokenizer.encode(render(sample(1, 5), 5).to(device))
    config = OptimizeConfig(steps=DEMO_STEPS, token_noise=0.3, ema_decay=0.95)

    def edit() -> None:
        loss = ClipLoss(guide, "a large green star", crops=4)
        for _ in optimize(tokenizer, loss, features, config):
            pass

    return {
        "steps": DEMO_STEPS,
        "seconds": alternate({"edit": edit}, rounds, device)["edit"].median,
    }


def growth(device: torch.device, rounds: int, largest: int = 16) -> dict[str, list[dict[str, Any]]]:
    """Seconds of a step of ours by batch and by crops, and of a run by its steps."""
    dtype = HALF[compute_dtype(OptimizeConfig(), device, task(device).tokenizer)]
    sizes = [size for size in (1, 2, 4, 8, 16) if size <= largest]
    rows: dict[str, list[dict[str, Any]]] = {"batch": [], "crops": [], "steps": []}
    for kind in ("batch", "crops"):
        for size in sizes:
            work = task(device, **{kind: size})
            run = work.ours(dtype)
            seconds = alternate({"step": lambda run=run: next(run)}, rounds, device)["step"].median
            each = size if kind == "batch" else 1
            rows[kind].append({kind: size, "seconds": seconds, "per_image": seconds / each})
    run, passed = task(device).ours(dtype), 0
    started = time.perf_counter()
    for steps in (1, 2, 4, 8):
        while passed < steps:
            next(run)
            passed += 1
        rows["steps"].append({"steps": steps, "seconds": time.perf_counter() - started})
    return rows


def _job(
    plain: Call, ours: Call, dtype: torch.dtype, device: torch.device, rounds: int | Rounds
) -> dict[str, Any]:
    timings = alternate({"plain": plain, "ours": ours}, rounds, device)
    flops = count_flops(ours)
    return {
        "plain_seconds": timings["plain"].median,
        "seconds": timings["ours"].median,
        "ratio": timings["plain"].times(timings["ours"]),
        "share_of_matrix_rate": flops / timings["ours"].median / matrix_rate(dtype, device),
    }


@torch.no_grad()
def _tokens(tokenizer, image: Tensor) -> Tensor:
    return tokenizer.quantize(tokenizer.encode(image)).tokens


def _grid(tokens: Tensor) -> Tensor:
    side = math.isqrt(tokens.shape[1])
    return tokens.transpose(1, 2).unflatten(2, (side, side)).contiguous()


def _gradient(decode, tokens: Tensor) -> Tensor:
    variable = tokens.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(decode(variable).float().square().mean(), variable)
    return gradient


PARTS = {"models": models_alone, "search": search, "the demo edit": demo_edit, "growth": growth}
