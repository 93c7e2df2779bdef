"""The loop itself: look, judge, move, report.

Axes: b images, n tokens, d token size.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..compute.gradients import require_gradient_scope
from ..compute.memory import in_turn
from ..compute.seeds import NOISE_STREAM, generators, image_seeds, normal, send
from ..losses.base import Loss, at, lowered, seeded
from ..tokenizers import Tokenizer
from .adam import Moments, adam_step
from .config import OptimizeConfig, Step
from .ema import Average, add_to_average
from .objective import Look, look, regularizer
from .precision import compute_dtype, first_scale
from .state import Position, RunState, choose, length, rows
from .stopping import Verdict, judge


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
        self.home = device_of(tokenizer)
        self.device = device or self.home
        self.dtype = compute_dtype(config, self.device, tokenizer)
        self.tokenizer = tokenizer.lowered(self.dtype, device)
        self.state = state.to(self.device).with_scale(first_scale(self.dtype))
        seeds = image_seeds(seeds, len(state.features))
        self.loss = seeded(lowered(loss, self.dtype, device), seeds, state.looks)
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
        features = in_turn(self.tokenizer.encode, int(self.config.sparing), known)
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


def device_of(tokenizer: Tokenizer) -> torch.device:
    """Where the tokenizer's weights are."""
    return next(tokenizer.parameters()).device
