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
            description="Makes the tokenizer's square of a picture of any size: a part of it, or "
            "the surroundings of a mask. Paste Back returns the result into the picture.",
            search_aliases=["crop", "resize", "pad", "any size", "aspect ratio", "inpaint crop"],
            has_intermediate_output=True,
            inputs=[*_fit_inputs(), *_mask_inputs()],
            outputs=[
                widgets.image_output("The squares, in the tokenizer's size."),
                io.Mask.Output(
                    display_name="mask",
                    tooltip="The mask's same part, in the same size; without a mask white where "
                    "the square shows the picture.",
                ),
                FitSocket.Output(
                    display_name="fit", tooltip="Where the squares come from, for Paste Back."
                ),
            ],
        )

    @classmethod
    def needs_decoder(cls, **inputs) -> bool:
        return False  # only the size of its images counts

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
        widgets.tokenizer("From Load TiTok; its size is the square's."),
        widgets.image("The picture, of any size. Transparency is ignored."),
        io.Combo.Input(
            "mode",
            options=list(MODES),
            default="crop",
            tooltip="A picture that is not square: crop takes a square part of it, pad adds "
            "something beside it, stretch squeezes it. The proportions stay with the first two.",
        ),
        io.Float.Input(
            "position",
            default=0.5,
            min=0.0,
            max=1.0,
            step=0.05,
            tooltip="Where a crop lies, or where the picture stands when padded: 0 is at the left "
            "or top, 0.5 in the middle, 1 at the right or bottom. Unused around a mask.",
        ),
        advanced(
            io.Combo.Input(
                "fill",
                options=list(FILLS),
                default="edge",
                tooltip="What pad adds: edge repeats the picture's border; black, grey and white "
                "are colours.",
            )
        ),
    ]


def _mask_inputs() -> list[io.Input]:
    return [
        io.Boolean.Input(
            "around_mask",
            default=True,
            tooltip="With a mask: take only the surroundings of its white part, so that a small "
            "part of a large photo is edited in full detail. Off: the whole picture.",
        ),
        widgets.margin(
            "How much of the surroundings is taken on each side, in percent of the white part's "
            "longer side. More: the models see more of the scene, in less detail."
        ),
        widgets.mask("White (1) may change. Resized to the picture's size.", optional=True),
    ]
