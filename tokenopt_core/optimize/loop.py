"""Test-time optimization of an image's tokens (arXiv 2506.08257, sections 4 and 5, appendix C).

The variables are the continuous features before quantization. Each step quantizes them
(straight-through), decodes an image, asks a loss about it and lets Adam move the features; the
models stay frozen.

Axes: b images, n tokens, d token size, s = `tokenizer.spec.image_size`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..checks import check_tensor
from ..compute.gradients import require_gradient_scope, require_normal_weights
from ..compute.memory import in_chunks
from ..compute.seeds import NOISE_STREAM, generators, image_seeds, normal, send
from ..losses.base import Loss, at, cast, seeded
from ..tokenizers import Quantized, Tokenizer
from ..tokenizers.base import check_tokens, length
from .adam import Average, Moments, adam_step, add_to_average
from .config import OptimizeConfig
from .objective import Look, look, regularizer
from .precision import compute_dtype, first_scale
from .state import Position, RunState, Step, choose, rows
from .stopping import Verdict, judge


def optimize(
    tokenizer: Tokenizer,
    loss: Loss,
    features: Tensor | None = None,
    config: OptimizeConfig | None = None,
    *,
    seeds: int | Sequence[int] = 0,
    reset: Callable[[Tensor], Tensor] | None = None,
    text: Tensor | None = None,
    noise: Callable[[int], Tensor] | None = None,
    state: RunState | None = None,
    quantized: bool = False,
    device: str | torch.device | None = None,
) -> Iterator[Step]:
    """One `Step` after another, until all are done or every image has stopped.

    Stop by leaving the loop; `Step.result` is what to keep. Every image is optimized by itself: its
    random numbers come from its own seed, and neither its result nor the moment it stops depend on
    the others in the batch. No mode is held while the caller has the turn.

    Args:
        tokenizer: frozen; images are decoded on the device of its weights, or on `device`.
        loss: images (b, 3, s, s) in [0, 1] -> (b,), see `.losses`; `seeded`, `at` and `terms` are
            used.
        features: (b, n, d) to start from; never changed. Not needed with `state`.
        config: how; None is `OptimizeConfig()`.
        seeds: one per image, or s for s, s + 1, ...
        reset: images -> images in [0, 1] that are encoded every `config.reset_every` steps, for
            example `MaskedL1Loss.composite`.
        text: (b, t, e), for a tokenizer that decodes with text.
        noise: step index -> standard normal numbers (b, n, d), in place of those from the seeds.
        state: `Step.state` of an earlier run, to go on from there instead of from `features`.
        quantized: `features` are tokens already, for example those that a run with `quantize` off
            has moved away from the codebook: with `quantize` off again they are taken as they are.
        device: where to compute if the models are to stay where they are, say in the computer's
            memory: the run takes along copies of what a step needs, in its precision, and no
            encoder. A reset encodes where the tokenizer is. None is the tokenizer's device.

    Raises:
        RuntimeError: under inference mode, or with weights made or moved under it.
        ValueError: an input that does not fit; the message says what would.
    """
    config = config or OptimizeConfig()
    require_gradient_scope("optimize()")
    if not hasattr(tokenizer, "spec"):
        raise ValueError(
            f"tokenizer: found the type {type(tokenizer).__name__}, expected a Tokenizer, as "
            "load_tokenizer gives it."
        )
    require_normal_weights(tokenizer, "tokenizer")
    if not callable(loss):
        raise ValueError(
            f"loss: found the type {type(loss).__name__}, expected a callable from images to one "
            "number each, for example ClipLoss."
        )
    config = config.resolved(tokenizer.spec)
    if state is None and features is None:
        raise ValueError("optimize() got neither features nor a state: give one to start from.")
    _check_inputs(tokenizer, features if state is None else state.features, config, reset)
    if state is None:
        state = _begin(tokenizer, features, config, quantized)
    elif state.quantize != config.quantize:
        raise ValueError(
            f"quantize is {config.quantize}, but the state is of a run with quantize "
            f"{state.quantize}: go on with the same, or start from its features."
        )
    place = None if device is None else torch.device(device)
    return Run(tokenizer, loss, state, config, seeds, reset, text, noise, place).steps()


@torch.no_grad()
def render(
    tokenizer: Tokenizer, features: Tensor, quantize: bool = True, text: Tensor | None = None
) -> tuple[Tensor, Quantized]:
    """The final images (b, 3, s, s) in [0, 1] of features (b, n, d), and the tokens behind them."""
    check_tokens(tokenizer.spec, features, "features")
    features = features.to(tokenizer.device, torch.float32)
    quantized = tokenizer.quantize(features) if quantize else Quantized(features, None)
    return tokenizer.decode(quantized.tokens, text=text).clamp(0, 1), quantized


@torch.no_grad()
def _begin(
    tokenizer: Tokenizer, features: Tensor, config: OptimizeConfig, quantized: bool
) -> RunState:
    """The state before the first step."""
    features = features.detach().clone().to(tokenizer.device, torch.float32)
    if not config.quantize and not quantized:
        features = tokenizer.quantize(features).tokens.float()
    return RunState.begin(features, config.quantize)


def _check_inputs(tokenizer: Tokenizer, features: Tensor, config: OptimizeConfig, reset) -> None:
    spec = tokenizer.spec
    check_tensor(features, "features", f"(b, {spec.num_tokens}, {spec.token_size})")
    if features.ndim != 3 or features.shape[1:] != (spec.num_tokens, spec.token_size):
        raise ValueError(
            f"features have shape {tuple(features.shape)}: {spec.name} expects "
            f"(b, {spec.num_tokens}, {spec.token_size})."
        )
    if not len(features):
        raise ValueError("features have no image: expected a batch of 1 or more.")
    if config.reset_every and reset is None:
        raise ValueError(
            f"reset_every is {config.reset_every}, but there is nothing to reset to: give `reset`, "
            "for example MaskedL1Loss.composite, or set reset_every to 0."
        )
    if config.locked and max(config.locked) >= spec.num_tokens:
        raise ValueError(
            f"locked has the position {max(config.locked)}: {spec.name} has {spec.num_tokens} "
            f"tokens, so expected positions from 0 to {spec.num_tokens - 1}."
        )
    if len(set(config.locked)) == spec.num_tokens:
        raise ValueError(
            f"locked has all {spec.num_tokens} positions, so nothing could move: leave one out."
        )


class Run:
    """One run, from a state on; `optimize` is the way in and explains the arguments."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        loss: Loss,
        state: RunState,
        config: OptimizeConfig,
        seeds: int | Sequence[int],
        reset: Callable[[Tensor], Tensor] | None,
        text: Tensor | None,
        noise: Callable[[int], Tensor] | None,
        device: torch.device | None = None,
    ):
        self.config, self.reset, self.text = config, reset, text
        self.home = tokenizer.device
        self.device = device or self.home
        self.dtype = compute_dtype(config, self.device, tokenizer)
        self.tokenizer = tokenizer.cast(self.dtype, device)
        self.state = state.to(self.device).with_scale(first_scale(self.dtype))
        seeds = image_seeds(seeds, len(state.features))
        self.loss = seeded(cast(loss, self.dtype, device), seeds, state.looks)
        self.noise = noise or self._noise_of(seeds)
        self.free = self._free_positions()
        turns_only = (
            tokenizer.spec.l2_normalized and config.quantize and config.regularize != "zero"
        )
        self.holds_length = config.hold_norm and turns_only and not config.official_rules

    def steps(self) -> Iterator[Step]:
        """Every step, until the last or until all images have stopped."""
        began = time.perf_counter()
        for index in range(self.config.steps):
            yield self._step(index, began)
            if all(self.state.stopped):
                return

    def _step(self, index: int, began: float) -> Step:
        """Look, judge, move, and report."""
        require_gradient_scope("a step of optimize()")
        config, state = self.config, self.state
        looked_at = self._with_noise(index)
        position = state.position
        if config.official_rules:
            position = position._replace(features=looked_at)
        loss = at(self.loss, index / max(1, config.steps - 1))
        scales = [watch.scale for watch in state.watches]
        seen = look(
            self.tokenizer,
            loss,
            looked_at,
            config,
            dtype=self.dtype,
            text=self.text,
            scales=scales,
        )
        penalty, pull = regularizer(config, self.tokenizer, position.features, state.start)
        gradient = choose(self.free, seen.gradient + pull, torch.zeros_like(pull))
        norms = gradient.flatten(1).norm(dim=1)
        if config.max_grad_norm:
            gradient = gradient * (config.max_grad_norm / norms).clamp(max=1).view(-1, 1, 1)
        moved = self._moved(index, position, gradient, seen.images)
        verdicts = self._judge(index, seen.loss, norms, began)
        self.state = self._next(looked_at, position, moved, verdicts)
        return self._report(index, looked_at, seen, penalty, state)

    def _with_noise(self, index: int) -> Tensor:
        """The features plus this step's noise, where they may move."""
        features, scale = self.state.features, self.config.noise_scale(index)
        if not scale:
            return features
        self.state = replace(self.state, draws=self.state.draws + 1)
        noisy = features + scale * send(self.noise(index), self.device)
        noisy = choose(self.free, noisy, features)
        active = [reason is None for reason in self.state.stopped]
        return choose(rows(active, self.device), noisy, features)

    def _judge(self, index: int, losses: Tensor, norms: Tensor, began: float) -> list[Verdict]:
        """One verdict per image. The only point where a step waits for the device."""
        losses, norms = torch.stack((losses, norms)).tolist()
        advice = "use another precision" if self.dtype == torch.float16 else "lower lr"
        verdicts = [
            judge(watch, loss, norm, index, self.config, advice)
            for watch, loss, norm in zip(self.state.watches, losses, norms, strict=True)
        ]
        seconds = self.config.seconds
        if not seconds or time.perf_counter() - began < seconds:
            return verdicts
        reason = f"the time of {seconds:g} seconds was over after step {index}"
        return [verdict._replace(watch=verdict.watch.stop(reason)) for verdict in verdicts]

    def _moved(self, index: int, old: Position, gradient: Tensor, images: Tensor) -> Position:
        """Where all images would be after this step."""
        config = self.config
        features, moments = adam_step(old.features, gradient, old.moments, config.lr_at(index))
        average, lengths = old.average, old.length
        if self.holds_length:
            features = features * (lengths / length(features))
        if self._resets_at(index):
            features = self._encode_again(images)
            lengths = length(features)
            if not config.official_rules:  # what Adam and the average know belongs to others
                moments, average = Moments.none(features), Average.none(features)
        features = choose(self.free, features, old.features)
        average = add_to_average(
            average, features, config.ema_decay, bias_corrected=not config.official_rules
        )
        return Position(features, moments, average, lengths)

    def _next(
        self, looked_at: Tensor, old: Position, moved: Position, verdicts: list[Verdict]
    ) -> RunState:
        """The state after the step: each image moves, rests, or returns to where it was before."""
        state = self.state
        moves = rows([verdict.moves for verdict in verdicts], self.device)
        stays = rows([not verdict.failed for verdict in verdicts], self.device)
        watches = tuple(verdict.watch for verdict in verdicts)
        better = [new.best < old.best for new, old in zip(watches, state.watches, strict=True)]
        return replace(
            state,
            position=choose(stays, choose(moves, moved, old), state.before),
            before=choose(moves, old, state.before),
            best=choose(rows(better, self.device), looked_at, state.best),
            watches=watches,
            looks=state.looks + 1,
        )

    def _report(
        self, index: int, looked_at: Tensor, seen: Look, penalty: Tensor, before: RunState
    ) -> Step:
        state = self.state
        averaged = state.position.average.value
        results = {"last": state.features, "average": averaged, "best": state.best}
        return Step(
            index=index,
            features=looked_at.clone(),
            codes=seen.codes,
            images=seen.images,
            loss=seen.loss,
            terms=seen.terms,
            penalty=penalty,
            lr=self.config.lr_at(index),
            active=torch.tensor([reason is None for reason in before.stopped]),
            next_features=state.features.clone(),
            averaged=averaged.clone(),
            result=results[self.config.keep].clone(),
            best_loss=torch.tensor([watch.best for watch in state.watches]),
            stopped=state.stopped,
            config=self.config,
            state=state,
        )

    def _resets_at(self, index: int) -> bool:
        """Whether this step ends in a reset; not the last, nothing would optimize its result."""
        every = self.config.reset_every
        last = index == self.config.steps - 1 and not self.config.official_rules
        return bool(every) and index > 0 and index % every == 0 and not last

    @torch.no_grad()
    def _encode_again(self, images: Tensor) -> Tensor:
        """Features (b, n, d) of the images with their known pixels put back."""
        known = self.reset(images).to(self.home)  # where the encoder has stayed
        features = in_chunks(self.tokenizer.encode, int(self.config.low_memory), known)
        features = features.to(self.device, torch.float32)
        return features if self.config.quantize else self.tokenizer.quantize(features).tokens

    def _noise_of(self, seeds: Sequence[int]) -> Callable[[int], Tensor]:
        """Normal numbers (b, n, d) from the seeds, after those that earlier runs have drawn."""
        sources, shape = generators(seeds, NOISE_STREAM), self.state.features.shape[1:]
        for _ in range(self.state.draws):
            normal(sources, shape)
        return lambda index: normal(sources, shape)

    def _free_positions(self) -> Tensor | None:
        """A mask (1, n, 1) of the tokens that may move; None if all may."""
        locked = list(self.config.locked)
        if not locked:
            return None
        free = torch.ones(self.tokenizer.spec.num_tokens, dtype=torch.bool)
        free[locked] = False
        return free.view(1, -1, 1).to(self.device)
