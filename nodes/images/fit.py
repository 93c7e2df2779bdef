"""Fit Image: the tokenizer's square of an image of any size."""

from __future__ import annotations

from torch import Tensor

from ...tokenopt_core.images.fit import FILLS, MODES
from ..host import widgets
from ..host.compat import CATEGORY, advanced, io, schema
from ..host.images import from_images, from_masks, to_images
from ..host.sockets import FitSocket, LoadedTokenizer
from .fitted import fitted_images, squares_of


class FitImage(io.ComfyNode):
    """The square of an image that the tokenizer works on."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_FitImage",
            display_name="Fit Image",
            category=f"{CATEGORY}/image",
            description="Crops or resizes an image of any size to the tokenizer's square, or "
            "takes a square around a mask. Paste Back puts the result back into the image.",
            search_aliases=["crop", "resize", "pad", "any size", "aspect ratio", "inpaint crop"],
            has_intermediate_output=True,
            inputs=[*_fit_inputs(), *_mask_inputs()],
            outputs=[
                widgets.image_output("The squares, at the tokenizer's size."),
                io.Mask.Output(
                    display_name="mask",
                    tooltip="The same part of the mask, at the same size; without a mask, white "
                    "where the square shows the image.",
                ),
                FitSocket.Output(
                    display_name="fit", tooltip="Where the squares come from, for Paste Back."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        tokenizer: LoadedTokenizer,
        image: Tensor,
        mode: str,
        position: float,
        fill: str,
        around_mask: bool,
        margin: int,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        images = to_images(image)
        fitted = fitted_images(
            images,
            mask,
            tokenizer.spec.image_size,
            mode=mode,
            position=position,
            fill=fill,
            margin=margin if around_mask else None,
        )
        squares, masks = squares_of(images, fitted)
        shown = {"tokenopt_notes": fitted.remarks}
        return io.NodeOutput(from_images(squares), from_masks(masks), fitted, ui=shown)


def _fit_inputs() -> list[io.Input]:
    return [
        widgets.tokenizer("From Load TiTok; its size is the size of the square."),
        widgets.image("The image, of any size. Transparency is ignored."),
        io.Combo.Input(
            "mode",
            options=list(MODES),
            default="crop",
            tooltip="How to handle an image that is not square: crop takes a square part of it, "
            "pad adds borders, stretch squeezes it. The first two keep the proportions.",
        ),
        io.Float.Input(
            "position",
            default=0.5,
            min=0.0,
            max=1.0,
            step=0.05,
            tooltip="Position of the crop, or of the image when padded: 0 is at the left or top, "
            "0.5 in the middle, 1 at the right or bottom. Not used around a mask.",
        ),
        advanced(
            io.Combo.Input(
                "fill",
                options=list(FILLS),
                default="edge",
                tooltip="What pad adds: edge repeats the border pixels; black, grey and white are "
                "colours.",
            )
        ),
    ]


def _mask_inputs() -> list[io.Input]:
    return [
        io.Boolean.Input(
            "around_mask",
            default=True,
            tooltip="With a mask: use only a square around its white part, so that a small part "
            "of a large photo is edited in full detail. Off: the whole image.",
        ),
        widgets.margin(
            "How much of the surroundings to include on each side, in percent of the white part's "
            "longer side. More: more context, less detail."
        ),
        widgets.mask("White (1) may change. Resized to the size of the image.", optional=True),
    ]
