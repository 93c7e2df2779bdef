"""Test-time optimization of an image's tokens (arXiv 2506.08257, sections 4 and 5, appendix C).

The variables are the continuous features before quantization. Each step quantizes them
(straight-through), decodes an image, asks a loss about it and lets Adam move the features; the
models stay frozen.

Axes: b images, n tokens, d token size, s = `tokenizer.spec.image_size`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from ..compute.gradients import require_gradient_scope, require_normal_weights
from ..kinds import check_tensor
from ..losses.base import Loss
from ..tokenizers import Quantized, Tokenizer
from ..tokenizers.base import check_tokens
from .config import OptimizeConfig, Step
from .run import Run, device_of
from .state import RunState


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
    features = features.to(device_of(tokenizer), torch.float32)
    quantized = tokenizer.quantize(features) if quantize else Quantized(features, None)
    return tokenizer.decode(quantized.tokens, text=text).clamp(0, 1), quantized


@torch.no_grad()
def _begin(
    tokenizer: Tokenizer, features: Tensor, config: OptimizeConfig, quantized: bool
) -> RunState:
    """The state before the first step."""
    features = features.detach().clone().to(device_of(tokenizer), torch.float32)
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
