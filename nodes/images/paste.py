"""Paste Back: an edited square returns into the image that Fit Image took it from."""

from __future__ import annotations

from torch import Tensor

from ..host.compat import CATEGORY, io, schema
from ..host.images import to_images, to_masks
from ..host.sockets import FitSocket, FittedImages
from ..host.widgets import image_input, image_output, mask_input
from .fitted import SOFT_EDGE, pasted_back


class PasteBack(io.ComfyNode):
    """The picture with its edited square back in place."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_PasteBack",
            display_name="Paste Back",
            category=f"{CATEGORY}/image",
            description="Puts an edited square back into the picture that Fit Image took it from, "
            "with a soft edge. All other pixels stay what they are, to the last bit.",
            search_aliases=["composite", "stitch", "uncrop", "blend", "inpaint stitch"],
            has_intermediate_output=True,
            inputs=[
                image_input(
                    "The edited squares, from Token Optimizer or TiTok Decode. They may be "
                    "enlarged before, by an upscale model for example."
                ),
                FitSocket.Input("fit", tooltip="Where the squares come from, from Fit Image."),
                image_input(
                    "The picture that Fit Image got, or another of that size. Its transparency is "
                    "kept.",
                    name="original",
                ),
                io.Float.Input(
                    "soft_edge",
                    default=SOFT_EDGE,
                    min=0.0,
                    max=50.0,
                    step=0.5,
                    round=0.01,
                    tooltip="Width of the soft transition, in percent of the square's side in the "
                    "picture: out of the mask's white part, or without a mask at the sides of the "
                    "square. More hides differences of light better and changes more pixels. 0: a "
                    "hard edge.",
                ),
                mask_input(
                    "Another mask than the one that Fit Image got: white is replaced. Resized to "
                    "the picture's size.",
                    optional=True,
                ),
            ],
            outputs=[image_output("The pictures, in their own size.")],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        fit: FittedImages,
        original: Tensor,
        soft_edge: float,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        if mask is not None:
            fit = FittedImages(fit.fit, to_masks(mask, fit.fit.image_size))
        image = pasted_back(to_images(image), fit, original, soft_edge)
        notes = [] if mask is None else fit.remarks  # of its own mask Fit Image shows them
        return io.NodeOutput(image, ui={"tokenopt_notes": notes})
