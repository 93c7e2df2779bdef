"""One optimization from a node's point of view: models to the device, loop, progress, result.

Token Optimizer makes one run, a sweep makes many. Axes: b images, s = the tokenizer's image size.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...tokenopt_core.checks import writable
from ...tokenopt_core.compute.memory import Chunks, release_free_memory
from ...tokenopt_core.compute.seeds import image_seeds
from ...tokenopt_core.losses.base import WeightedSum
from ...tokenopt_core.losses.masked import MaskedLoss
from ...tokenopt_core.optimize.config import AUTO, OptimizeConfig
from ...tokenopt_core.optimize.loop import optimize, render
from ...tokenopt_core.optimize.record import RunRecorder
from ...tokenopt_core.optimize.state import RunState, Step
from ..host.memory import Level, MemoryRetry
from ..host.models import activation_bytes, gradient_scope
from ..host.sockets import LoadedTokenizer, Options, Tokens
from ..host.stop import StopFlag
from ..losses.recipe import LossRecipe
from ..losses.terms import Batch
from .trajectory import Trajectory

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a run gives, all of it on the CPU.

    Args:
        images: (b, 3, s, s) in [0, 1].
        tokens: behind the images, with the state to go on from.
        frames: (f, 3, H, W), from the start to the result.
        recorder: has followed the run to its end.
        stopped_by_user: the run ended early because a flag was raised.
        remarks: sentences for the user, of the losses and about settings that do not fit them.
    """

    images: Tensor
    tokens: Tokens
    frames: Tensor
    recorder: RunRecorder
    stopped_by_user: bool
    remarks: tuple[str, ...] = ()


def run_optimization(
    tokenizer: LoadedTokenizer,
    tokens: Tokens,
    loss: LossRecipe,
    config: OptimizeConfig,
    *,
    seed: int = 0,
    options: Options | None = None,
    follow: Callable[[Step], None] = lambda step: None,
    stop: StopFlag | None = None,
    retry: MemoryRetry | None = None,
) -> Outcome:
    """The result of a run, whole or stopped; loads what it needs and leaves inference mode.

    Where memory does not suffice the run begins anew and computes less at once, with copies of the
    models' weights in place of the models.

    Args:
        seed: image k of the batch has seed + k.
        options: only its warm restart and number of frames count here; see `make_config`.
        follow: called after each step, such as a `RunProgress`; an exception out of it ends all.
        stop: a raised flag ends the run after the step it is at, the first at the earliest.
        retry: of earlier runs of the same node; knows afterwards what this one had to do.

    Raises:
        ValueError: inputs that do not fit together; the message says what would.
    """
    options, retry = options or Options(), retry or MemoryRetry()
    state = _state_of(tokens) if options.warm_restart else None
    run = _Run(tokenizer, tokens, loss, _settled(config, tokenizer), options, seed, state)
    try:
        outcome = retry.run(lambda: run.attempt(retry.level, follow, stop), loss.smallest_chunks)
    finally:
        release_free_memory()
    return replace(outcome, remarks=outcome.remarks + retry.notes)


@dataclass(frozen=True)
class _Run:
    """A run as it was asked for; `state` is that of an earlier one, to go on from there."""

    tokenizer: LoadedTokenizer
    tokens: Tokens
    recipe: LossRecipe
    config: OptimizeConfig
    options: Options
    seed: int
    state: RunState | None

    def attempt(
        self, level: Level, follow: Callable[[Step], None], stop: StopFlag | None
    ) -> Outcome:
        """The result, computed in the chunks of `level`."""
        low_memory = level is not Level.ALL
        config, count = replace(self.config, low_memory=low_memory), len(self.tokens)
        size = self.tokenizer.spec.image_size
        memory = activation_bytes(size, 1 if low_memory else count, gradients=True)
        scope = gradient_scope(
            self.tokenizer, *self.recipe.guides, memory=memory, resident=not low_memory
        )
        with scope as device:
            loss = self.recipe.build(Batch(device, size, count, level))
            start, seeds = self.tokens.values.to(device), image_seeds(self.seed, count)
            reset = known_pixels(loss) if config.reset_every else None
            steps = optimize(
                self.tokenizer.module,
                loss,
                start,
                config if reset else replace(config, reset_every=0),
                seeds=seeds,
                reset=reset,
                state=self.state,
                quantized=self.tokens.quantized,
                device=device if low_memory else None,
            )
            begun = start if self.state is None else self.state.features
            recorder = _recorder(self.tokenizer, config, seeds, begun)
            outcome = self._followed(steps, recorder, follow, stop)
            return replace(outcome, remarks=tuple(run_remarks(loss, config)))

    def _followed(
        self,
        steps: Iterator[Step],
        recorder: RunRecorder,
        follow: Callable[[Step], None],
        stop: StopFlag | None,
    ) -> Outcome:
        """What all `steps` come to."""
        trajectory = Trajectory(self.config.steps, self.options.trajectory_frames)
        for step in steps:
            recorder.add(step)
            trajectory.add(step.index, step.images)
            follow(step)
            if stop is not None and stop.raised:
                break
        images, codes = self._rendered(step.result, step.config)
        recorder.finish(codes)
        values = step.result.float().cpu().clone()
        state, quantized = step.state.to("cpu"), not self.config.quantize
        return Outcome(
            images=images,
            tokens=Tokens(values, quantized, self.tokenizer.name, state),
            frames=trajectory.finish(images),
            recorder=recorder,
            stopped_by_user=stop is not None and stop.raised,
        )

    def _rendered(self, features: Tensor, config: OptimizeConfig) -> tuple[Tensor, Tensor | None]:
        """Images (b, 3, s, s) on the CPU and codes (b, n) of the result."""

        def work(rows: slice) -> tuple[Tensor, Tensor | None]:
            images, quantized = render(
                self.tokenizer.module, features[rows], quantize=config.quantize
            )
            return images.cpu(), quantized.codes

        chunks = Chunks(1 if config.low_memory else len(features))
        images, codes = zip(
            *(result for _, result in chunks.parts(len(features), work)), strict=True
        )
        return torch.cat(images), None if codes[0] is None else torch.cat(codes)


def make_config(
    tokenizer: LoadedTokenizer,
    options: Options | None = None,
    *,
    lr: float,
    ema: bool,
    ema_decay: float,
    token_noise: bool,
    noise_scale: float,
    **fields,
) -> OptimizeConfig:
    """The library's settings from those of the nodes; what a toggle switches off is 0 there, and an
    lr of 0 is the tokenizer's own."""
    return OptimizeConfig(
        lr=lr or AUTO,
        ema_decay=ema_decay if ema else 0.0,
        token_noise=noise_scale if token_noise else 0.0,
        **fields,
        **(options or Options()).config_fields(tokenizer.spec.num_tokens),
    )


def _settled(config: OptimizeConfig, tokenizer: LoadedTokenizer) -> OptimizeConfig:
    """The settings without "auto" in the learning rate; the log tells what that came to."""
    found = config.resolved(tokenizer.spec)
    if config.lr == AUTO:
        name = writable(tokenizer.name)
        log.info("TokenOpt: lr %g, %s, as suits %s", found.lr, found.lr_schedule, name)
    return found


def known_pixels(loss: WeightedSum) -> Callable[[Tensor], Tensor] | None:
    """The function that puts the known pixels back, from the one masked loss; None without any."""
    masked = [part for _, part in loss.parts if isinstance(part, MaskedLoss)]
    if len(masked) > 1:
        raise ValueError(
            f"reset_every needs exactly one L1 Masked Loss in the connected loss, found "
            f"{len(masked)}; bypass the others, or set reset_every to 0."
        )
    return masked[0].composite if masked else None


@torch.no_grad()
def _recorder(
    tokenizer: LoadedTokenizer, config: OptimizeConfig, seeds: Sequence[int], start: Tensor
) -> RunRecorder:
    """A recorder that knows the codes of the start, if there are any."""
    device = tokenizer.module.weights_device
    codes = tokenizer.module.quantize(start.to(device)).codes if config.quantize else None
    return RunRecorder(config, seeds, codes, tokenizer=tokenizer.name)


def _state_of(tokens: Tokens) -> RunState:
    if tokens.state is None:
        raise ValueError(
            "warm_restart is on, but these tokens come from no Token Optimizer, so there is no run "
            "to go on with; connect its tokens output directly, or switch warm_restart off."
        )
    return tokens.state.reopened()


def run_remarks(loss: WeightedSum, config: OptimizeConfig) -> list[str]:
    """What the loss remarks, and what does not go together with it, each once."""
    found = [*loss.remarks(), *_resetting(loss, config), *_comparing(loss, config)]
    return list(dict.fromkeys(found))


def _resetting(loss: WeightedSum, config: OptimizeConfig) -> list[str]:
    if not config.reset_every or any(isinstance(part, MaskedLoss) for _, part in loss.parts):
        return []
    return [
        f"reset_every is {config.reset_every}, but does nothing: there is no L1 Masked Loss in the "
        "connected loss, whose known pixels it would put back."
    ]


def _comparing(loss: WeightedSum, config: OptimizeConfig) -> list[str]:
    """Settings that compare losses of different steps, under a loss that changes between them."""
    comparing = {
        "keep = best": config.keep == "best",
        "target": config.target is not None,
        "patience": config.patience > 0,
    }
    found = ", ".join(name for name, used in comparing.items() if used)
    if not found or not loss.scheduled:
        return []
    return [
        f"the loss asks for something else later in the run (a prompt with @), but {found} "
        "compares losses of different steps: the result may belong to another part of the prompt."
    ]
