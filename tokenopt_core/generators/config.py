"""Settings of the sampling, and the schedules that they name: frozen values, checked once.

i is a step's index, from 0, of S steps; r = (i + 1) / S. Guidance: arXiv 2207.12598 on the logits;
the schedule of masks: MaskGIT (arXiv 2202.04200, section 3.3) with arccos, as the official code of
TiTok (arXiv 2406.07550) has it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import NamedTuple

from ..checks import convert_fields, shown
from ..compute.precision import PRECISIONS

MOST_STEPS = 10_000
LARGEST = 1e6  # of scale, power and temperature
LEAST_SOFTNESS, MORE_SOFTNESS = 0.5, 0.8  # what annealing divides the logits by: last, and more


class GuidanceRule(NamedTuple):
    """How a step's weight c follows from the settings, and from where it counts.

    Logits are cond + c * (cond - uncond), so that 0 is no guidance; those of a rule that counts
    from the unconditional ones are uncond + c * (cond - uncond), so that 1 is none.
    """

    weight: Callable[[float, float, int, int], float]  # of scale, power, i and S
    from_unconditional: bool = False

    def is_neutral(self, weight: float) -> bool:
        """Whether the conditional logits come out unchanged."""
        return weight == (1 if self.from_unconditional else 0)


def _cosine_rise(scale: float, power: float, progress: float) -> float:
    return 1 + (scale - 1) * (1 - math.cos(math.pi * progress**power)) / 2


# "constant" and "none" are the same rule, by its names in the code of TiTok and of MaskGen.
GUIDANCE: dict[str, GuidanceRule] = {
    "constant": GuidanceRule(lambda scale, power, i, steps: scale),
    "linear": GuidanceRule(lambda scale, power, i, steps: scale * i / steps),
    "power-cosine": GuidanceRule(
        lambda scale, power, i, steps: _cosine_rise(scale, power, i / steps),
        from_unconditional=True,
    ),
    "cosine": GuidanceRule(
        lambda scale, power, i, steps: _cosine_rise(scale, power, (i + 1) / steps)
    ),
    "none": GuidanceRule(lambda scale, power, i, steps: scale),
}


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How tokens are generated. None in a field is what the model recommends; 0 is 0.

    Args:
        steps: 1 or more; each fixes some of the tokens.
        guidance_scale: how strongly the condition counts, 0 or more.
        guidance_schedule: one of `GUIDANCE`: how the guidance grows from step to step.
        guidance_power: of the cosine schedules: a larger one keeps it low for longer.
        temperature: of the noise at the first step, 0 or more; it falls to 0 at the last.
        anneal: whether logits are divided by 1.3 at first, down to 0.5 at the last step.
        confidence_noise: whether a second noise decides, too, which tokens are fixed.
        precision: of the network, whose weights are rounded once a run; "auto" is what the device
            is fastest with.
    """

    steps: int | None = None
    guidance_scale: float | None = None
    guidance_schedule: str | None = None
    guidance_power: float | None = None
    temperature: float | None = None
    anneal: bool | None = None
    confidence_noise: bool | None = None
    precision: str = "auto"

    def __post_init__(self) -> None:
        convert_fields(self)
        whole = isinstance(self.steps, int) and not isinstance(self.steps, bool)
        fits = whole and 1 <= self.steps <= MOST_STEPS
        self._check("steps", fits, f"an integer from 1 to {MOST_STEPS}")
        for name in ("guidance_scale", "guidance_power", "temperature"):
            value = getattr(self, name)
            number = isinstance(value, Real) and not isinstance(value, bool)
            self._check(name, number and 0 <= value <= LARGEST, f"a number from 0 to {LARGEST:g}")
        for name in ("anneal", "confidence_noise"):
            self._check(name, isinstance(getattr(self, name), bool), "True or False")
        for name, known in (("guidance_schedule", tuple(GUIDANCE)), ("precision", PRECISIONS)):
            self._check(name, getattr(self, name) in known, f"one of {', '.join(known)}")

    def _check(self, name: str, valid: bool, expected: str) -> None:
        value = getattr(self, name)
        if not valid and value is not None:
            raise ValueError(f"{name} is {shown(value)}: expected {expected}.")

    def resolved(self, recommended: SamplingConfig) -> SamplingConfig:
        """The same with what is `recommended` in place of None."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(recommended, **{k: v for k, v in own.items() if v is not None})

    def guidance_at(self, i: int) -> float:
        """The weight c of the guidance at step i, of settings that are resolved."""
        rule = GUIDANCE[self.guidance_schedule]
        return rule.weight(self.guidance_scale, self.guidance_power, i, self.steps)

    def temperature_at(self, i: int) -> float:
        """The temperature of the noise at step i."""
        return self.temperature * (1 - (i + 1) / self.steps)

    def softness_at(self, i: int) -> float:
        """What the logits are divided by at step i."""
        return LEAST_SOFTNESS + MORE_SOFTNESS * (1 - (i + 1) / self.steps) if self.anneal else 1.0

    def masked_after(self, i: int, free: int, masked: int) -> int:
        """How many tokens of an image are masked after step i.

        Args:
            free: tokens that are generated: those that are not held.
            masked: of these, how many are masked before the step; 1 or more.
        """
        if i == self.steps - 1:
            return 0
        planned = math.floor(free * math.acos((i + 1) / self.steps) / (math.pi / 2))
        return max(1, min(masked - 1, planned))


# What the official code takes where a model's own settings are not known.
USUAL = SamplingConfig(
    steps=8,
    guidance_scale=3.0,
    guidance_schedule="constant",
    guidance_power=3.0,
    temperature=4.5,
    anneal=False,
    confidence_noise=True,
)
