"""The record of a run: loss curves, codes before and after, settings and versions, as JSON.

Axes: b images, n tokens.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..checks import python_number
from .config import OptimizeConfig
from .state import Step

Curve = list[list[float]]  # [step][image]


class RunRecorder:
    """Follows a run step by step.

        recorder = RunRecorder(config, seeds)
        for step in optimize(tokenizer, loss, features, config, seeds=seeds):
            recorder.add(step)
        images, quantized = render(tokenizer, step.result)
        recorder.finish(quantized.codes)

    Adding a step keeps a few numbers on their device and never waits for it.
    """

    def __init__(
        self,
        config: OptimizeConfig,
        seeds: Sequence[int] = (),
        codes: Tensor | None = None,
        *,
        tokenizer: str = "",
    ):
        """
        Args:
            codes: (b, n) of the start; None takes those of the first step, which has the noise of
                the first step in it.
            tokenizer: its name, for the record.
        """
        self.config, self.seeds, self.tokenizer = config, list(seeds), tokenizer
        self.before, self.after = codes, None
        self._evaluations: list[_Evaluation] = []
        self._lr: list[float] = []
        self._best: Tensor | None = None
        self._device = torch.device("cpu")
        self._stopped: tuple[str | None, ...] = ()
        self._began = self._ended = time.perf_counter()

    def add(self, step: Step) -> None:
        """Keep what `step` says about the loss; its images are not kept."""
        if self.before is None:
            self.before = step.codes
        self._evaluations.append(_Evaluation(step.terms, step.loss, step.penalty, step.active))
        self._lr.append(step.lr)
        self.config = replace(self.config, lr=step.config.lr, lr_schedule=step.config.lr_schedule)
        self._best, self._stopped = step.best_loss, step.stopped
        self._ended = time.perf_counter()
        self._device = step.loss.device

    def finish(self, codes: Tensor | None) -> None:
        """Keep the codes (b, n) of the result; None where nothing was quantized."""
        self.after = codes
        self._ended = time.perf_counter()

    @property
    def seconds(self) -> float:
        """From the recorder's making to the last step."""
        return self._ended - self._began

    @property
    def stopped(self) -> tuple[str | None, ...]:
        """Per image why it stopped early, else None."""
        return self._stopped

    def curves(self) -> dict[str, Curve]:
        """Every term's values by step and image; nan from the step on before which it stopped."""
        names = dict.fromkeys(name for step in self._evaluations for name in step.terms)
        steps = self._evaluations
        return {name: self._curve([step.terms.get(name) for step in steps]) for name in names}

    def loss_curve(self) -> Curve:
        """The sum of the terms, without the penalty."""
        return self._curve([step.loss for step in self._evaluations])

    def penalty_curve(self) -> Curve:
        """The regularizer's part."""
        return self._curve([step.penalty for step in self._evaluations])

    def record(self) -> dict[str, Any]:
        """Everything as JSON values; not finite becomes null."""
        return _plain(
            {
                "tokenizer": self.tokenizer,
                "config": asdict(self.config),
                "seeds": self.seeds,
                "steps": len(self._evaluations),
                "stopped": self._stopped,
                "seconds": self.seconds,
                "loss": self.loss_curve(),
                "terms": self.curves(),
                "penalty": self.penalty_curve(),
                "lr": self._lr,
                "best_loss": self._best,
                "codes_before": self.before,
                "codes_after": self.after,
                "changed_positions": self.changed_positions(),
                "versions": versions(self._device),
            }
        )

    def changed_positions(self) -> list[list[int]] | None:
        """Per image the positions whose code changed; None where there are no codes."""
        if self.before is None or self.after is None:
            return None
        changed = self.before.cpu() != self.after.cpu()
        return [row.nonzero().flatten().tolist() for row in changed]

    def changes_text(self) -> str:
        """One line per image: which positions changed, and from which code to which."""
        changed = self.changed_positions()
        if changed is None:
            return "Nothing was quantized, so there are no codes to compare."
        before, after, lines = self.before.tolist(), self.after.tolist(), []
        for image, positions in enumerate(changed):
            pairs = ", ".join(
                f"{position}: {before[image][position]} -> {after[image][position]}"
                for position in positions
            )
            count = f"{len(positions)} of {len(before[image])} codes changed"
            lines.append(f"image {image}: {count}" + (f" ({pairs})" if pairs else ""))
        return "\n".join(lines)

    def _curve(self, values: Sequence[Tensor | None]) -> Curve:
        """Values (b,) of each step as numbers, nan for images that had stopped."""
        if not values:
            return []
        gaps = torch.full_like(self._evaluations[0].loss, math.nan)
        shown = torch.stack([gaps if value is None else value for value in values]).cpu()
        active = torch.stack([step.active for step in self._evaluations])
        return shown.masked_fill(~active, math.nan).tolist()


class _Evaluation(NamedTuple):
    terms: dict[str, Tensor]
    loss: Tensor
    penalty: Tensor
    active: Tensor


def versions(device: torch.device) -> dict[str, str]:
    """Of what decides about a result that was made on `device`."""
    backend = getattr(torch, device.type, None)
    named = hasattr(backend, "get_device_name")
    name = backend.get_device_name(device) if named else device.type
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": platform.machine() if device.type == "cpu" else name,
    }


def _plain(value: Any) -> Any:
    """Tuples and tensors as lists, floats with six digits and null for those that are none."""
    if isinstance(value, Tensor):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    value = python_number(value)
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
