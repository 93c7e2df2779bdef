"""Pixel Penalty: total variation, and pixels outside of 0 to 1."""

from __future__ import annotations

from ...tokenopt_core.losses.pixels import RangeLoss, TotalVariationLoss
from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from .recipe import LossRecipe
from .terms import CallableTerm


class PixelPenalty(io.ComfyNode):
    """Penalizes noise between neighbours, and colours beyond white and black."""

    NEEDS_CLAMP_OFF = (
        "range counts only with clamp switched off in Token Optimizer Options: until then the "
        "losses see no pixel outside 0 to 1."
    )

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_PixelPenalty",
            display_name="Pixel Penalty",
            category=f"{CATEGORY}/loss",
            description="A loss that penalizes noise and out-of-range pixels. Combine it with a "
            "CLIP Loss if results get grainy, or if clamp is off.",
            search_aliases=["smooth", "total variation", "denoise", "artifacts"],
            has_intermediate_output=True,
            inputs=[
                widgets.weight(
                    "Weight of the penalty on differences between neighbouring pixels (total "
                    "variation). More: less noise, softer edges. Try 0.1 to 1.",
                    name="total_variation",
                    default=0.2,
                ),
                widgets.weight(
                    "Weight of the penalty on pixels below 0 or above 1. Pixels are clamped "
                    "before the losses, so it has an effect only with clamp off in Token "
                    "Optimizer Options.",
                    name="range",
                    default=0.0,
                ),
            ],
            outputs=[widgets.loss_output()],
        )

    @classmethod
    def execute(cls, total_variation: float, range: float) -> io.NodeOutput:
        if not total_variation and not range:
            raise ValueError(
                "total_variation and range are both 0, so Pixel Penalty does nothing; raise one, "
                "or remove the node."
            )
        weighted = ((TotalVariationLoss(), total_variation), (RangeLoss(), range))
        terms = tuple(CallableTerm(loss, weight) for loss, weight in weighted if weight)
        notes = [cls.NEEDS_CLAMP_OFF] if range else []
        return io.NodeOutput(LossRecipe(terms), ui={"tokenopt_notes": notes})
