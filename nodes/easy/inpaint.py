"""Easy Inpaint: an image, a mask and a prompt in, the image with its white part filled out."""

from __future__ import annotations

from torch import Tensor

from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from ..host.images import to_images
from ..host.sockets import Caption, LoadedGuide, LoadedTokenizer
from ..images.fitted import fitted_images
from ..loaders.menu import fingerprint_of
from ..losses.recipe import CompositeTerm, LossRecipe
from ..losses.terms import ClipTerm, MaskedTerm
from .inputs import MODELS, easy_outputs, model_sockets, run_inputs
from .run import models_of, run_easily

KEEP = 2.0  # weight of the known part beside the prompt


class EasyInpaint(io.ComfyNode):
    """Fills a painted part of an image to fit a text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_EasyInpaint",
            display_name="Easy Inpaint",
            category=CATEGORY,
            description="Fills the white part of a mask to match a prompt: image, mask and prompt "
            "in, inpainted image out. All other pixels stay identical, bit for bit.",
            search_aliases=["inpaint", "fill", "remove object", "replace", "mask", "edit"],
            essentials_category="Image Tools",
            has_intermediate_output=True,
            inputs=[
                widgets.image("The image, of any size; batches are supported."),
                widgets.mask(
                    "White may change, black stays. Load Image outputs it after Open in "
                    "MaskEditor; resized to the image if the sizes differ."
                ),
                widgets.prompt(
                    "a large green circle in the middle, plain sand background, bright, sharp",
                    "What the white part and its surroundings should show together. For a batch: "
                    "one line for all images, or one line per image.",
                ),
                *run_inputs(),
                widgets.margin(
                    "How much of the surroundings to include on each side of the white part, in "
                    "percent of its longer side. More: fits better into the scene, less detail. "
                    "The square is at least as large as the tokenizer's."
                ),
                *model_sockets(),
                widgets.caption(),
            ],
            outputs=easy_outputs("The inpainted image, at its original size."),
        )

    @classmethod
    def fingerprint_inputs(cls, models: str, **_) -> str:
        return fingerprint_of(*MODELS.get(models, ("", "")))

    @classmethod
    def execute(
        cls,
        image: Tensor,
        mask: Tensor,
        models: str,
        margin: int,
        tokenizer: LoadedTokenizer | None = None,
        guide: LoadedGuide | None = None,
        caption: Caption | None = None,
        **settings,
    ) -> io.NodeOutput:
        images = to_images(image)
        chosen = models_of(models, tokenizer, guide, caption)
        fitted = fitted_images(images, mask, chosen.image_size, mode="stretch", margin=margin)
        return run_easily(chosen, images, fitted, image, loss=inpainting, **settings)


def inpainting(prompt: ClipTerm, squares: Tensor, masks: Tensor) -> LossRecipe:
    """The prompt asked of the image as it will be put together, and the known part kept."""
    if masks.amin() >= 1:  # the white part fills every square: nothing is known
        return LossRecipe((prompt,))
    shown = CompositeTerm(LossRecipe((prompt,)), squares, masks)
    return LossRecipe((shown, MaskedTerm(squares, masks, KEEP)))
