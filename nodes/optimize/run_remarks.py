"""Sentences for the user about a run whose settings are allowed, but will surprise."""

from __future__ import annotations

from ...tokenopt_core.losses.base import MaskedLoss, WeightedSum, is_scheduled, remarks
from ...tokenopt_core.optimize.config import OptimizeConfig


def run_remarks(loss: WeightedSum, config: OptimizeConfig) -> list[str]:
    """What the loss remarks, and what does not go together with it, each once."""
    found = [*remarks(loss), *_resetting(loss, config), *_comparing(loss, config)]
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
    if not found or not is_scheduled(loss):
        return []
    return [
        f"the loss asks for something else later in the run (a prompt with @), but {found} "
        "compares losses of different steps: the result may belong to another part of the prompt."
    ]
