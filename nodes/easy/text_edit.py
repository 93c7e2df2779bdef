"""Easy Text Edit: an image and a prompt in, the edited image out."""

from __future__ import annotations

from torch import Tensor

from ...tokenopt_core.images.fit import MODES
from ..host import widgets
from ..host.compat import CATEGORY, advanced, io, schema
from ..host.images import to_images
from ..host.sockets import Caption, LoadedGuide, LoadedTokenizer
from ..images.fitted import fitted_images
from ..loaders.menu import fingerprint_of
from ..losses.clip import PRESERVE, source_inputs
from ..losses.recipe import LossRecipe
from ..losses.terms import ClipTerm
from .inputs import MODELS, easy_outputs, model_sockets, run_inputs
from .run import models_of, run_easily


class EasyTextEdit(io.ComfyNode):
    """Changes an image until it fits a text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_EasyTextEdit",
            display_name="Easy Text Edit",
            category=CATEGORY,
            description="Edits a whole image to match a prompt: image and prompt in, edited image "
            "out. For more control, use Token Optimizer and the other nodes.",
            search_aliases=["text edit", "edit", "prompt", "img2img", "image to image", "clip"],
            essentials_category="Image Tools",
            has_intermediate_output=True,
            inputs=[
                widgets.image("The image to edit, of any size; batches are supported."),
                widgets.prompt(
                    widgets.DEMO_PROMPT,
                    "What the result should show, such as a green star. For a batch: one line for "
                    "all images, or one line per image.",
                ),
                *run_inputs(),
                advanced(
                    io.Combo.Input(
                        "fit",
                        options=list(MODES),
                        default="stretch",
                        tooltip="How to handle an image that is not square: stretch squeezes it "
                        "into a square and back; crop edits only its central square; pad adds "
                        "borders to keep its proportions, with less detail.",
                    )
                ),
                *model_sockets(),
                *source_inputs(
                    "What the image shows now, in words like the prompt's: a blue square, for the "
                    "prompt a green star. Then only what differs is changed. Empty: the demo "
                    "models read it from the image; with others the whole image may change. For "
                    "a batch, one line for all images or one line per image."
                ),
                widgets.caption(),
            ],
            outputs=easy_outputs("The edited image, at the size of the input image."),
        )

    @classmethod
    def fingerprint_inputs(cls, models: str, **_) -> str:
        return fingerprint_of(*MODELS.get(models, ("", "")))

    @classmethod
    def execute(
        cls,
        image: Tensor,
        models: str,
        fit: str,
        tokenizer: LoadedTokenizer | None = None,
        guide: LoadedGuide | None = None,
        caption: Caption | None = None,
        source_prompt: str = "",
        preserve: float = PRESERVE,
        **settings,
    ) -> io.NodeOutput:
        images = to_images(image)
        chosen = models_of(models, tokenizer, guide, caption)
        fitted = fitted_images(images, None, chosen.image_size, mode=fit)
        settings |= {"source_prompt": source_prompt, "preserve": preserve}
        return run_easily(chosen, images, fitted, image, loss=prompt_alone, **settings)


def prompt_alone(prompt: ClipTerm, squares: Tensor, masks: Tensor) -> LossRecipe:
    """The prompt asked of the whole image."""
    return LossRecipe((prompt,))
