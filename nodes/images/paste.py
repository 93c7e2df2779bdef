"""Paste Back: an edited square returns into the image that Fit Image took it from."""

from __future__ import annotations

from torch import Tensor

from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from ..host.images import to_images, to_masks
from ..host.sockets import FitSocket, FittedImages
from .fitted import SOFT_EDGE, pasted_back


class PasteBack(io.ComfyNode):
    """The image with its edited square back in place."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_PasteBack",
            display_name="Paste Back",
            category=f"{CATEGORY}/image",
            description="Pastes an edited square back into the image that Fit Image took it from, "
            "with a soft edge. All other pixels stay identical, bit for bit.",
            search_aliases=["composite", "stitch", "uncrop", "blend", "inpaint stitch"],
            has_intermediate_output=True,
            inputs=[
                widgets.image(
                    "The edited squares, from Token Optimizer or TiTok Decode. They may be "
                    "upscaled first, for example by an upscale model."
                ),
                FitSocket.Input("fit", tooltip="Where the squares come from, from Fit Image."),
                widgets.image(
                    "The image that went into Fit Image, or another of the same size. Its "
                    "transparency is kept.",
                    name="original",
                ),
                io.Float.Input(
                    "soft_edge",
                    default=SOFT_EDGE,
                    min=0.0,
                    max=50.0,
                    step=0.5,
                    round=0.01,
                    tooltip="Width of the soft transition, in percent of the side of the square "
                    "in the image: outside the white part of the mask, or without a mask along "
                    "the sides of the square. More hides differences in brightness better and "
                    "changes more pixels. 0: a hard edge.",
                ),
                widgets.mask(
                    "A mask to use instead of the one that went into Fit Image: white is "
                    "replaced. Resized to the size of the image.",
                    optional=True,
                ),
            ],
            outputs=[widgets.image_output("The images, at their original size.")],
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
