"""Numbers that ComfyUI lets through although their widgets would not."""

from __future__ import annotations

from numbers import Integral, Real

from ..tokenopt_core.positions import shortened
from .compat import io

# Widget, what fits it, what to call that, how to write its limits.
_KINDS = (
    (io.Int.Input, Integral, "whole number", "d"),
    (io.Float.Input, Real, "number", "g"),
)


def check_numbers(node: type[io.ComfyNode], **inputs: object) -> None:
    """Raises ValueError if one of the inputs is outside of the limits of its widget in `node`.

    Inputs that are no number widgets pass. ComfyUI itself compares what is typed, not what comes
    through a link; and NaN is neither below nor above a limit.
    """
    for widget in node.define_schema().inputs:
        for sort, kind, words, form in _KINDS:
            if isinstance(widget, sort) and widget.id in inputs:
                _check(widget, inputs[widget.id], kind, words, form)


def _check(widget: io.Input, value: object, kind: type, words: str, form: str) -> None:
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if not (fits and widget.min <= value <= widget.max):  # NaN too
        raise ValueError(
            f"{widget.id} is {shortened(str(value))}, expected a {words} from "
            f"{widget.min:{form}} to {widget.max:{form}}."
        )
