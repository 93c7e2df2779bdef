"""Speed of the generators, decoding included, beside a loop with the costs of the published code:
two passes a step, one for each condition, and float32."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from tokenopt_core import Generator, SamplingConfig, generate
from tokenopt_core.compute.precision import dtype_for
from tokenopt_core.generators.sampling import gumbel
from tokenopt_core.tokenizers import TiTok

from . import models
from .clock import Rounds, alternate
from .plain_loop import plain_decode

NAMES = ("titok-l32", "titok-s128")
BATCH = {"cpu": 1}  # images; 16 elsewhere
SECONDS = 60.0  # for the rounds after the first of each generator


def generation(device: torch.device, rounds: int | Rounds) -> dict[str, Any]:
    """Images a second of each generator with its recommended settings, plain and ours."""
    most = rounds if isinstance(rounds, int) else rounds.most
    batch = BATCH.get(device.type, 16)
    return {name: _compared(name, device, batch, Rounds(SECONDS, most)) for name in NAMES}


def _compared(name: str, device: torch.device, batch: int, rounds: Rounds) -> dict[str, Any]:
    generator, tokenizer = models.generator(name, device), models.tokenizer(name, device)
    config = generator.spec.recommended
    dtype = dtype_for("auto", device, generator)
    labels = torch.arange(batch, device=device) % generator.spec.num_classes
    fast = tokenizer.cast(dtype_for("auto", device, tokenizer))
    cases = {
        "plain": lambda: plain_images(generator, tokenizer, labels, config),
        "ours": lambda: _images(generator, fast, labels),
    }
    timings = alternate(cases, rounds, device)
    return {
        "steps": config.steps,
        "batch": batch,
        "precision": str(dtype).removeprefix("torch."),
        "plain_images_per_second": batch / timings["plain"].median,
        "images_per_second": batch / timings["ours"].median,
        "ratio": timings["plain"].times(timings["ours"]),
    }


@torch.no_grad()
def _images(generator: Generator, tokenizer: TiTok, labels: Tensor) -> Tensor:
    *_, last = generate(generator, labels)
    return tokenizer.decode(tokenizer.lookup(last.codes))


@torch.no_grad()
def plain_images(
    generator: Generator, tokenizer: TiTok, labels: Tensor, config: SamplingConfig
) -> Tensor:
    """Images (b, 3, s, s) as the published loop makes them."""
    spec, batch = generator.spec, len(labels)
    nothing = generator.no_condition(batch)
    codes = torch.full((batch, spec.num_tokens), spec.codebook_size, device=labels.device)
    for i in range(config.steps):
        r = (i + 1) / config.steps
        weight, temperature = config.guidance_at(i), config.temperature * (1 - r)
        logits = generator(codes, labels)
        if weight:
            uncond = generator(codes, nothing)
            base = uncond if config.guidance_schedule == "power-cosine" else logits
            logits = base + weight * (logits - uncond)
        logits = logits / (0.5 + 0.8 * (1 - r))
        masked = codes == spec.codebook_size
        guess = (logits + temperature * gumbel(torch.rand_like(logits))).argmax(-1)
        sure = logits.gather(-1, guess[..., None])[..., 0].where(masked, torch.inf)
        guess = guess.where(masked, codes)
        sure = sure + temperature * gumbel(torch.rand_like(sure))
        planned = math.floor(spec.num_tokens * math.acos(r) / (math.pi / 2))
        count = max(1, min(int(masked[0].sum()) - 1, planned))
        again = sure <= sure.sort(dim=-1).values[:, count - 1 : count]
        codes = guess if r == 1 else guess.masked_fill(again, spec.codebook_size)
    return plain_decode(tokenizer, tokenizer.lookup(codes))


PARTS = {"generation": generation}
