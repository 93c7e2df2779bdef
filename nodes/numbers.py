"""Numbers of widgets that ComfyUI lets through and that no node can use."""

from __future__ import annotations

import math


def check_finite(**inputs: object) -> None:
    """Raises ValueError if one of the inputs is NaN or infinite; those that are no float pass.

    ComfyUI compares with the limits of a widget, and NaN is neither below nor above them; a number
    that comes through a link is not compared at all.
    """
    for name, value in inputs.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(
                f"{name} is {value}, expected a finite number; check the node or the program that "
                "gave it."
            )


def check_between(name: str, value: float, least: float, most: float) -> None:
    """Raises ValueError if the input `name` is outside of its widget's limits.

    ComfyUI compares what is typed, not what comes through a link.
    """
    if not least <= value <= most:  # NaN too
        raise ValueError(f"{name} is {value}, expected a number from {least} to {most}.")
