"""One generation from a node's point of view: models to the device, steps, progress, codes.

Axes: b images, n tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from ...tokenopt_core.checks import shown
from ...tokenopt_core.compute.precision import dtype_for
from ...tokenopt_core.compute.seeds import image_seeds
from ...tokenopt_core.generators.base import Generator, check_fit
from ...tokenopt_core.generators.config import SamplingConfig
from ...tokenopt_core.generators.labels import class_labels
from ...tokenopt_core.generators.sampling import generate
from ...tokenopt_core.tokenizers import Tokenizer
from ...tokenopt_core.tokens.positions import parse_positions
from ..host.images import preview
from ..host.memory import MemoryRetry, images_per_chunk
from ..host.models import activation_bytes, gradient_scope
from ..host.progress import BatchProgress
from ..host.sockets import LoadedGenerator, LoadedTokenizer, Tokens
from ..host.stop import StopFlag

LOGIT_BYTES = 32  # with and without the condition, the random numbers, and what is made of them
PREVIEWED = 4  # images

Keep = tuple[Tensor, Tensor] | None  # codes (b, n) and held (b, n) bool


@dataclass(frozen=True)
class Request:
    """What to generate; see the inputs of the node."""

    generator: LoadedGenerator
    tokenizer: LoadedTokenizer
    labels: str
    images_each: int
    seed: int
    config: SamplingConfig
    keep_tokens: Tokens | None = None
    keep_positions: str = ""


@dataclass(frozen=True)
class Generated:
    """What a generation gives, on the CPU.

    Args:
        codes: (b, n) int64.
        tokens: of these codes.
        steps: how many were made, of how many.
        stopped_by_user: the run ended early because a flag was raised.
        remarks: sentences for the user.
    """

    codes: Tensor
    tokens: Tokens
    steps: int
    steps_planned: int
    stopped_by_user: bool
    remarks: tuple[str, ...] = ()


def generated(request: Request, preview_every: int, stop: StopFlag) -> Generated:
    """The result of a generation, whole or stopped.

    Where memory does not suffice it begins anew with one image after the other at each step.

    Raises:
        ValueError: inputs that do not fit together; the message says what would.
    """
    generator, tokenizer = request.generator, request.tokenizer
    check_fit(generator.module, tokenizer.module)
    condition = _condition(request)
    count, size, retry = len(condition), tokenizer.spec.image_size, MemoryRetry()
    config = request.config.resolved(generator.spec.recommended)
    logits = generator.spec.num_tokens * generator.spec.codebook_size * LOGIT_BYTES
    decoding = activation_bytes(size, images_per_chunk(size, PREVIEWED), gradients=False)

    def attempt() -> Generated:
        at_once = 1 if retry.low_memory else count
        memory = decoding + logits * at_once
        with gradient_scope(generator, tokenizer, memory=memory) as device, torch.no_grad():
            network = generator.module.cast(dtype_for("auto", device, generator.module))
            keep = _kept(request, count)
            seeds = image_seeds(request.seed, count)
            steps = _steps(network, condition, config, keep, seeds, at_once)
            drawn = _Drawn(tokenizer.module, config.steps, preview_every)
            progress = BatchProgress(config.steps, draw=drawn.image)
            for done, codes in enumerate(steps, 1):
                drawn.now(done, codes)
                progress(done, config.steps)
                if stop.raised:
                    break
            values = tokenizer.module.lookup(codes.to(device)).float().cpu()
        tokens = Tokens(values, True, tokenizer.name)
        return Generated(codes.cpu(), tokens, done, config.steps, stop.raised, retry.notes)

    return retry.run(attempt)


def _steps(
    network: Generator,
    condition: Tensor,
    config: SamplingConfig,
    keep: Keep,
    seeds: list[int],
    at_once: int,
) -> Iterator[Tensor]:
    """Codes (b, n) after each step, which is made for `at_once` images after the other."""
    runs = []
    for first in range(0, len(condition), at_once):
        rows = slice(first, first + at_once)
        held = keep and tuple(each[rows] for each in keep)
        runs.append(generate(network, condition[rows], config, keep=held, seeds=seeds[rows]))
    for steps in zip(*runs, strict=True):
        yield torch.cat([step.codes for step in steps])


def _condition(request: Request) -> Tensor:
    """The label (b,) of each image: so many for each line of labels."""
    lines = [line for line in request.labels.splitlines() if line.strip()] or [""]
    return class_labels(request.generator.spec, lines).repeat_interleave(request.images_each)


def _kept(request: Request, count: int) -> Keep:
    """What is kept of each image; call it in a `gradient_scope`."""
    tokens, n = request.keep_tokens, request.tokenizer.spec.num_tokens
    if tokens is None:
        return None
    if len(tokens) not in (1, count):
        raise ValueError(
            f"keep_tokens has {len(tokens)} images, expected 1, or one for each image that is "
            f"generated, {count}: batch_size for each line of labels."
        )
    positions = parse_positions(request.keep_positions, n, "keep_positions")
    if len(positions) == n:
        raise ValueError(
            f"keep_positions is {shown(request.keep_positions)}, which is all {n} tokens, so "
            "nothing would be generated: leave one out."
        )
    module = request.tokenizer.module
    codes = module.quantize(tokens.values.to(module.weights_device)).codes.cpu()
    held = torch.zeros(count, n, dtype=torch.bool)
    held[:, positions] = True
    return codes.expand(count, n), held


class _Drawn:
    """The image to show with a step, if any: every so many steps, 0 is never, and at the last."""

    def __init__(self, tokenizer: Tokenizer, steps: int, every: int):
        self._tokenizer, self._steps, self._every = tokenizer, steps, every
        self._codes: Tensor | None = None

    def now(self, done: int, codes: Tensor) -> None:
        """Notes the codes (b, n) after `done` steps."""
        shown = self._every and (done % self._every == 0 or done == self._steps)
        self._codes = codes[:PREVIEWED] if shown else None

    def image(self) -> Image.Image | None:
        if self._codes is None:
            return None
        codes = self._codes.to(self._tokenizer.weights_device)
        return preview(self._tokenizer.decode(self._tokenizer.lookup(codes)))
