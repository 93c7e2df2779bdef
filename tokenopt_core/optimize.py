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

from .adam import Adam
from .config import OptimizeConfig, Step
from .ema import Ema
from .gradients import clamp_images, require_gradient_scope, require_normal_weights
from .losses import Loss, loss_terms, seeded
from .randomness import NOISE_STREAM, generators, image_seeds, normal, send
from .tokenizers import Quantized, Tokenizer


def optimize(
    tokenizer: Tokenizer,
    loss: Loss,
    features: Tensor,
    config: OptimizeConfig | None = None,
    *,
    seeds: int | Sequence[int] = 0,
    reset: Callable[[Tensor], Tensor] | None = None,
    text: Tensor | None = None,
    noise: Callable[[int], Tensor] | None = None,
) -> Iterator[Step]:
    """One `Step` after another; stop by leaving the loop.

    Every image is optimized by itself: its random numbers come from its own seed, and its result
    does not depend on the others in the batch. No mode is held while the caller has the turn.

    Args:
        tokenizer: frozen; images are decoded on the device of its weights.
        loss: images (b, 3, s, s) in [0, 1] -> (b,), see `.losses`; `seeded` and `terms` are used.
        features: (b, n, d) to start from; never changed.
        config: how; None is `OptimizeConfig()`.
        seeds: one per image, or s for s, s + 1, ...
        reset: images -> images in [0, 1] that are encoded every `config.reset_every` steps, for
            example `MaskedL1Loss.composite`.
        text: (b, t, e), for a tokenizer that decodes with text.
        noise: step index -> standard normal numbers (b, n, d), in place of those from the seeds.

    Raises:
        RuntimeError: under inference mode, or with weights made or moved under it.
        ValueError: an input that does not fit; the message says what would.
    """
    run = _Run(tokenizer, loss, features, config or OptimizeConfig(), seeds, reset, text, noise)
    return (run.step(index) for index in range(run.config.steps))


class _Run:
    """The state of one optimization."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        loss: Loss,
        features: Tensor,
        config: OptimizeConfig,
        seeds: int | Sequence[int],
        reset: Callable[[Tensor], Tensor] | None,
        text: Tensor | None,
        noise: Callable[[int], Tensor] | None,
    ):
        require_gradient_scope("optimize()")
        require_normal_weights(tokenizer, "tokenizer")
        _check_inputs(tokenizer, features, config, reset)
        self.tokenizer, self.config, self.reset, self.text = tokenizer, config, reset, text
        self.start = features.detach().clone().to(_device(tokenizer), torch.float32)
        if not config.quantize:
            with torch.no_grad():
                self.start = tokenizer.quantize(self.start).tokens.float()
        self.features = self.start
        seeds = image_seeds(seeds, len(features))
        self.loss = seeded(loss, seeds)
        sources = generators(seeds, NOISE_STREAM)
        self.noise = noise or (lambda index: normal(sources, features.shape[1:]))
        self.adam = Adam(config.lr)
        self.ema = Ema(config.ema_decay, bias_corrected=not config.official_rules)
        turns_only = (
            tokenizer.spec.l2_normalized and config.quantize and config.regularize != "zero"
        )
        holds = config.hold_norm and turns_only and not config.official_rules
        self.norm = _length(self.start) if holds else None

    def step(self, index: int) -> Step:
        """Look, move, and report."""
        require_gradient_scope("a step of optimize()")
        config = self.config
        looked_at = self._with_noise(index)
        if config.official_rules:
            self.features = looked_at
        images, codes, terms, gradient = self._look(looked_at)
        penalty, pull = self._regularizer()
        features = self.adam.step(self.features, gradient + pull)
        if self.norm is not None:
            features = features * (self.norm / _length(features))
        if self._resets_at(index):
            features = self._encode_again(images)
        self.features = features
        return Step(
            index=index,
            features=looked_at.clone(),
            codes=codes,
            images=images,
            loss=sum(terms.values()),
            terms=terms,
            penalty=penalty,
            next_features=features.clone(),
            averaged=self.ema.update(features),
        )

    def _with_noise(self, index: int) -> Tensor:
        """The features plus this step's noise."""
        scale = self.config.noise_scale(index)
        if not scale:
            return self.features
        return self.features + scale * send(self.noise(index), self.features.device)

    def _look(self, features: Tensor) -> tuple[Tensor, Tensor | None, dict[str, Tensor], Tensor]:
        """Images, codes and terms of `features`, detached, and the loss's gradient (b, n, d)."""
        with torch.enable_grad():
            variable = features.detach().requires_grad_()
            tokens, codes = variable, None
            if self.config.quantize:
                tokens, codes = self.tokenizer.quantize(variable)
            images = self.tokenizer.decode(tokens, text=self.text)
            if not self.config.official_rules:
                images = clamp_images(images)
            terms = _checked_terms(self.loss, images)
            total = sum(value.sum() for value in terms.values())
            (gradient,) = torch.autograd.grad(total, variable)
        return images.detach(), codes, {k: v.detach() for k, v in terms.items()}, gradient

    def _regularizer(self) -> tuple[Tensor, Tensor | float]:
        """The penalty (b,), the weighted mean squared distance from the anchor, and its gradient.

        It belongs to the features without noise. The published VAE optimizes the log-variances too;
        they never move and never reach the image, but halve the mean.
        """
        kind, weight = self.config.regularize, self.config.reg_weight
        if kind == "none" or not weight:
            return self.features.new_zeros(len(self.features)), 0.0
        if self.config.official_rules and self.tokenizer.spec.kind == "vae":
            weight = weight / 2
        distance = self.features - self.start if kind == "seed" else self.features
        return weight * distance.square().mean((1, 2)), 2 * weight / distance[0].numel() * distance

    def _resets_at(self, index: int) -> bool:
        """Whether this step ends in a reset; not the last, nothing would optimize its result."""
        every = self.config.reset_every
        last = index == self.config.steps - 1 and not self.config.official_rules
        return bool(every) and index > 0 and index % every == 0 and not last

    def _encode_again(self, images: Tensor) -> Tensor:
        """Features of the blended images. What Adam and the average know belongs to others."""
        if not self.config.official_rules:
            self.adam.reset()
            self.ema.restart()
        with torch.no_grad():
            features = self.tokenizer.encode(self.reset(images)).float()
            if not self.config.quantize:
                features = self.tokenizer.quantize(features).tokens
        if self.norm is not None:
            self.norm = _length(features)
        return features


@torch.no_grad()
def render(
    tokenizer: Tokenizer, features: Tensor, quantize: bool = True, text: Tensor | None = None
) -> tuple[Tensor, Quantized]:
    """The final images (b, 3, s, s) in [0, 1] of features (b, n, d), and the tokens behind them."""
    features = features.to(_device(tokenizer), torch.float32)
    quantized = tokenizer.quantize(features) if quantize else Quantized(features, None)
    return tokenizer.decode(quantized.tokens, text=text).clamp(0, 1), quantized


def _check_inputs(tokenizer: Tokenizer, features: Tensor, config: OptimizeConfig, reset) -> None:
    spec = tokenizer.spec
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


def _checked_terms(loss: Loss, images: Tensor) -> dict[str, Tensor]:
    """The loss's terms as float32, after a look at their shape."""
    terms = {name: value.float() for name, value in loss_terms(loss, images).items()}
    for name, value in terms.items():
        if value.shape != images.shape[:1]:
            raise ValueError(
                f"the loss {name!r} has shape {tuple(value.shape)} for {len(images)} images: "
                f"expected one number per image, ({len(images)},)."
            )
    if not any(value.requires_grad for value in terms.values()):
        raise ValueError("the loss does not depend on the images by differentiable operations.")
    return terms


def _length(features: Tensor) -> Tensor:
    """Norms (b, n, 1) of the tokens; 1 for a token that is zero and has no direction."""
    norm = features.norm(dim=-1, keepdim=True)
    return norm.masked_fill(norm == 0, 1)


def _device(tokenizer: Tokenizer) -> torch.device:
    return next(tokenizer.parameters()).device
