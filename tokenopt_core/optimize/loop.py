"""Test-time optimization of an image's tokens (arXiv 2506.08257, sections 4 and 5, appendix C).

The variables are the continuous features before quantization. Each step quantizes them
(straight-through), decodes an image, evaluates a loss and takes a step of Adam; the models stay
frozen.

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
from ..losses.base import LossFunction, as_loss
from ..tokenizers import Quantized, Tokenizer, TokenizerSpec
from ..tokenizers.base import check_tokens, length
from .adam import Average, Moments, adam_step, add_to_average
from .config import OptimizeConfig
from .objective import Evaluation, Run, objective, regularizer, start_images
from .precision import compute_dtype, first_scale
from .state import Position, RunState, Step, rows, where
from .stopping import Verdict, judge


def optimize(
    tokenizer: Tokenizer,
    loss: LossFunction,
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
        loss: images (b, 3, s, s) in [0, 1] -> (b,), a `Loss` or any function of that kind.
        features: (b, n, d) to start from; never changed. Not needed with `state`.
        config: how; None is `OptimizeConfig()`.
        seeds: one per image, or s for s, s + 1, ...
        reset: images -> images in [0, 1] that are encoded every `config.reset_every` steps, for
            example `MaskedL1Loss.composite`.
        text: (b or 1, t, e), for a tokenizer that decodes with text, in place of the caption that
            it is bound to (`Tokenizer.captioned`).
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
    loss, config = as_loss(loss), config.resolved(tokenizer.spec)
    if state is None and features is None:
        raise ValueError("optimize() got neither features nor a state: give one to start from.")
    _check_inputs(tokenizer, features if state is None else state.features, config, reset)
    if state is None:
        state = _first_state(tokenizer, features, config, quantized)
    elif state.quantize != config.quantize:
        raise ValueError(
            f"quantize is {config.quantize}, but the state is of a run with quantize "
            f"{state.quantize}: go on with the same, or start from its features."
        )
    home, place = tokenizer.weights_device, None if device is None else torch.device(device)
    dtype = compute_dtype(config, place or home, tokenizer)
    state = state.to(place or home).with_scale(first_scale(dtype))
    seeds = image_seeds(seeds, len(state.features))
    run = Run(
        tokenizer=tokenizer.cast(dtype, place),
        loss=loss.cast(dtype, place).seeded(seeds, state.evaluations),
        config=config,
        device=place or home,
        dtype=dtype,
        text=text,
        reset=reset and (lambda images: reset(images).to(home)),  # where the encoder stays
        noise=noise or _noise(seeds, state),
        free=_free_tokens(config, state.features),
        hold_norm=_holds_norm(config, tokenizer.spec),
    )
    loss = run.loss.started(lambda: start_images(run, state.start))
    return _steps(replace(run, loss=loss), state)


@torch.no_grad()
def render(
    tokenizer: Tokenizer, features: Tensor, quantize: bool = True, text: Tensor | None = None
) -> tuple[Tensor, Quantized]:
    """The final images (b, 3, s, s) in [0, 1] of features (b, n, d), and the tokens behind them."""
    check_tokens(tokenizer.spec, features, "features")
    features = features.to(tokenizer.weights_device, torch.float32)
    quantized = tokenizer.quantize(features) if quantize else Quantized(features, None)
    return tokenizer.decode(quantized.tokens, text=text).clamp(0, 1), quantized


def _steps(run: Run, state: RunState) -> Iterator[Step]:
    """Every step from `state` on, until the last or until all images have stopped."""
    config, began = run.config, time.perf_counter()
    for index in range(config.steps):
        require_gradient_scope("a step of optimize()")
        state, features = _with_noise(run, state, index)  # (b, n, d)
        old = state.position
        if config.official_rules:  # the noise stays in the features
            old = old._replace(features=features)
        seen = objective(run, features, index, [tracker.scale for tracker in state.trackers])
        penalty, pull = regularizer(run, old.features, state.start)
        gradient = where(run.free, seen.gradient + pull, torch.zeros_like(pull))  # (b, n, d)
        norms = gradient.flatten(1).norm(dim=1)
        if config.max_grad_norm:
            gradient = gradient * (config.max_grad_norm / norms).clamp(max=1).view(-1, 1, 1)
        moved = _moved(run, old, gradient, index)
        if _resets_at(config, index):
            moved = _encoded_again(run, moved, seen.images)
        moved = _averaged(run, old, moved)
        verdicts = _verdicts(run, state, seen.loss, norms, index, began)
        before, state = state, state.after(features, old, moved, verdicts)
        yield _step(run, index, features, seen, penalty, before, state)
        if all(state.stopped):
            return


def _with_noise(run: Run, state: RunState, index: int) -> tuple[RunState, Tensor]:
    """The features (b, n, d) plus this step's noise, where they may move, and its draw counted."""
    features, scale = state.features, run.config.noise_scale(index)
    if not scale:
        return state, features
    noisy = where(run.free, features + scale * send(run.noise(index), run.device), features)
    active = rows([reason is None for reason in state.stopped], run.device)
    return replace(state, draws=state.draws + 1), where(active, noisy, features)


def _moved(run: Run, old: Position, gradient: Tensor, index: int) -> Position:
    """Where all images would be after a step of Adam."""
    lr = run.config.lr_at(index)
    features, moments = adam_step(old.features, gradient, old.moments, lr)
    if run.hold_norm:
        features = features * (old.length / length(features))
    return old._replace(features=features, moments=moments)


@torch.no_grad()
def _encoded_again(run: Run, moved: Position, images: Tensor) -> Position:
    """A reset: at the features of `images` with their known pixels put back."""
    features = in_chunks(run.tokenizer.encode, int(run.config.low_memory), run.reset(images))
    features = features.to(run.device, torch.float32)
    if not run.config.quantize:
        features = run.tokenizer.quantize(features).tokens
    moved = moved._replace(features=features, length=length(features))
    if run.config.official_rules:
        return moved
    # What Adam and the average know belongs to other features.
    return moved._replace(moments=Moments.none(features), average=Average.none(features))


def _averaged(run: Run, old: Position, moved: Position) -> Position:
    """The same with locked tokens where they were, and the average up to date."""
    features = where(run.free, moved.features, old.features)
    corrected = not run.config.official_rules
    average = add_to_average(
        moved.average, features, run.config.ema_decay, bias_corrected=corrected
    )
    return moved._replace(features=features, average=average)


def _verdicts(
    run: Run, state: RunState, losses: Tensor, norms: Tensor, index: int, began: float
) -> list[Verdict]:
    """One verdict per image. The only point where a step waits for the device."""
    losses, norms = torch.stack((losses, norms)).tolist()
    advice = "use another precision" if run.dtype == torch.float16 else "lower lr"
    verdicts = [
        judge(tracker, loss, norm, index, run.config, advice)
        for tracker, loss, norm in zip(state.trackers, losses, norms, strict=True)
    ]
    seconds = run.config.seconds
    if not seconds or time.perf_counter() - began < seconds:
        return verdicts
    reason = f"the time of {seconds:g} seconds was over after step {index}"
    return [verdict._replace(tracker=verdict.tracker.stop(reason)) for verdict in verdicts]


def _step(
    run: Run,
    index: int,
    features: Tensor,
    seen: Evaluation,
    penalty: Tensor,
    before: RunState,
    state: RunState,
) -> Step:
    """The record of a step from the state `before` it to `state`."""
    averaged = state.position.average.value
    results = {"last": state.features, "average": averaged, "best": state.best}
    return Step(
        index=index,
        features=features.clone(),
        codes=seen.codes,
        images=seen.images,
        loss=seen.loss,
        terms=seen.terms,
        penalty=penalty,
        lr=run.config.lr_at(index),
        active=torch.tensor([reason is None for reason in before.stopped]),
        next_features=state.features.clone(),
        averaged=averaged.clone(),
        result=results[run.config.keep].clone(),
        best_loss=torch.tensor([tracker.best for tracker in state.trackers]),
        stopped=state.stopped,
        config=run.config,
        state=state,
    )


def _resets_at(config: OptimizeConfig, index: int) -> bool:
    """Whether a step ends in a reset; not the last, nothing would optimize its result."""
    every = config.reset_every
    last = index == config.steps - 1 and not config.official_rules
    return bool(every) and index > 0 and index % every == 0 and not last


@torch.no_grad()
def _first_state(
    tokenizer: Tokenizer, features: Tensor, config: OptimizeConfig, quantized: bool
) -> RunState:
    """The state before the first step."""
    features = features.detach().clone().to(tokenizer.weights_device, torch.float32)
    if not config.quantize and not quantized:
        features = tokenizer.quantize(features).tokens.float()
    return RunState.begin(features, config.quantize)


def _noise(seeds: Sequence[int], state: RunState) -> Callable[[int], Tensor]:
    """Normal numbers (b, n, d) from the seeds, after those that earlier runs have drawn."""
    sources, shape = generators(seeds, NOISE_STREAM), state.features.shape[1:]
    for _ in range(state.draws):
        normal(sources, shape)
    return lambda index: normal(sources, shape)


def _free_tokens(config: OptimizeConfig, features: Tensor) -> Tensor | None:
    """A mask (1, n, 1) of the tokens that may move; None if all may."""
    if not config.locked:
        return None
    free = torch.ones(features.shape[1], dtype=torch.bool)
    free[list(config.locked)] = False
    return free.view(1, -1, 1).to(features.device)


def _holds_norm(config: OptimizeConfig, spec: TokenizerSpec) -> bool:
    """Whether every token keeps its length: where only its direction counts for the codebook."""
    turns_only = spec.l2_normalized and config.quantize and config.regularize != "zero"
    return config.hold_norm and turns_only and not config.official_rules


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
