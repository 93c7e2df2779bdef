"""L1 Masked Loss and Masked Composite: a part may change, the rest is kept or only shown.

Inpainting: arXiv 2506.08257, section 5. Axes: b images, h and w pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from ..host.images import to_images, to_masks
from .recipe import CompositeTerm, LossRecipe, recipe_of
from .terms import NORMS, MaskedTerm

WIDEST_RIM = 256


def _image_and_mask(image_tooltip: str) -> list[io.Input]:
    return [
        widgets.image(
            f"{image_tooltip} Any size: cropped and resized as by TiTok Encode. "
            "One for all optimized images, or one each."
        ),
        widgets.mask(
            "1 (white) = may change, 0 (black) = keep. Resized to the image if the sizes differ."
        ),
    ]


def _feather_input(**more) -> io.Input:
    return io.Int.Input(
        "feather",
        default=0,
        min=0,
        max=WIDEST_RIM,
        tooltip="Width of a soft edge around the white part of the mask, in pixels of the "
        "tokenizer's image (demo: 64 per side, released models: 256). 0: as painted. Paper: soft "
        "masks; on the demo world hard ones fill the hole better.",
        **more,
    )


class MaskedL1Loss(io.ComfyNode):
    """Keeps the part of an image that the mask leaves out."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_MaskedL1Loss",
            display_name="L1 Masked Loss",
            category=f"{CATEGORY}/loss",
            description="A loss that preserves an image outside the mask (for inpainting).",
            search_aliases=["inpaint", "outpaint", "keep", "preserve"],
            inputs=[
                *_image_and_mask("The image to keep."),
                widgets.weight(
                    "Weight of this loss relative to others. More keeps the known part better."
                ),
                _feather_input(optional=True),
                io.Combo.Input(
                    "norm",
                    options=list(NORMS),
                    default="L1",
                    optional=True,
                    tooltip="L1: the absolute difference (paper). L2: the squared difference; "
                    "large differences count more, small ones hardly, so use a larger weight.",
                ),
            ],
            outputs=[widgets.loss_output()],
        )

    @classmethod
    def execute(
        cls, image: Tensor, mask: Tensor, weight: float, feather: int = 0, norm: str = "L1"
    ) -> io.NodeOutput:
        target, masks = _read(image, mask)
        if (masks.amin((1, 2, 3)) >= 1).any():
            raise ValueError(
                "mask is 1 everywhere, so nothing of the image is kept; expected 0 (black) where "
                "the image must not change. Invert the mask if it is the wrong way round."
            )
        return io.NodeOutput(LossRecipe((MaskedTerm(target, masks, weight, norm, feather),)))


class MaskedComposite(io.ComfyNode):
    """Lets a loss see the image as it will be put together."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_MaskedComposite",
            display_name="Masked Composite",
            category=f"{CATEGORY}/loss",
            description="Applies a loss to the final composite: the original outside the mask, "
            "the optimized image inside. For CLIP Loss when inpainting.",
            search_aliases=["inpaint", "fill", "hole"],
            inputs=[
                widgets.loss("The loss to apply to the composite."),
                *_image_and_mask("The original, used outside the mask."),
                _feather_input(),
            ],
            outputs=[widgets.loss_output()],
        )

    @classmethod
    def execute(cls, loss: LossRecipe, image: Tensor, mask: Tensor, feather: int) -> io.NodeOutput:
        target, masks = _read(image, mask)
        if (masks.amax((1, 2, 3)) <= 0).any():
            raise ValueError(
                "mask is 0 everywhere, so the loss would see only the original; expected 1 (white) "
                "where the image may change. Invert the mask if it is the wrong way round."
            )
        return io.NodeOutput(LossRecipe((CompositeTerm(recipe_of(loss), target, masks, feather),)))


def _read(image: Tensor, mask: Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Target (b, 3, h, w) and masks (b, 1, h, w) of what the sockets carry."""
    target = to_images(image)
    return target, to_masks(mask, tuple(target.shape[2:]))
