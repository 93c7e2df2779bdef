"""Inputs and outputs that several nodes share."""

from __future__ import annotations

from .compat import io
from .sockets import LossSocket

SEEDS = 2**64
MOST_WEIGHT = 1000.0


def weight_input(
    tooltip: str, *, name: str = "weight", default: float = 1.0, least: float = 0.0, **more
) -> io.Input:
    """A loss's importance beside others."""
    return io.Float.Input(
        name,
        default=default,
        min=least,
        max=MOST_WEIGHT,
        step=0.05,
        round=0.0001,
        tooltip=f"{tooltip} 0: off.",
        **more,
    )


def loss_output() -> io.Output:
    return LossSocket.Output(
        display_name="loss", tooltip="The loss, for Token Optimizer, Sweep or Combine Losses."
    )
