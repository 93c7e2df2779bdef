"""Sentences for the user about a run whose settings are allowed, but will surprise."""

from __future__ import annotations

from ..tokenopt_core.config import OptimizeConfig
from ..tokenopt_core.losses import Loss, is_scheduled, remarks


def run_remarks(loss: Loss, config: OptimizeConfig) -> list[str]:
    """What the loss remarks, and what does not go together with it, each once."""
    return list(dict.fromkeys([*remarks(loss), *_comparing(loss, config)]))


def _comparing(loss: Loss, config: OptimizeConfig) -> list[str]:
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
