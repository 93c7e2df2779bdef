"""CLIP Loss, Image Prompt Loss and Combine Losses (arXiv 2506.08257, section 4)."""

from __future__ import annotations

import torch

from ..host import widgets
from ..host.compat import CATEGORY, advanced, io, schema
from ..host.images import to_images
from ..host.sockets import LoadedGuide
from .prompts import optional_lines, optional_text, prompt_lines
from .recipe import LossRecipe, prompt_remarks, recipe_of
from .terms import ClipTerm, ImagePromptTerm

PRESERVE = 1.0


def _crop_inputs() -> list[io.Input]:
    return [
        io.Boolean.Input(
            "random_crops",
            default=True,
            tooltip="Compare random crops, mirrored at random: the strongest protection against "
            "adversarial results. Off: the whole image, once.",
        ),
        io.Int.Input(
            "crops",
            default=8,
            min=1,
            max=64,
            tooltip="Random crops per image and step (paper: 8). More: smoother and slower; "
            "ignored when random_crops is off.",
        ),
    ]


def source_inputs(tooltip: str) -> list[io.Input]:
    """What an edit starts from, in words, and how much of it stays."""
    return [
        io.String.Input(
            "source_prompt", multiline=True, default="", tooltip=tooltip, optional=True
        ),
        io.Float.Input(
            "preserve",
            default=PRESERVE,
            min=0.0,
            max=1.0,
            step=0.05,
            round=0.0001,
            optional=True,
            tooltip="How much of the image stays that the prompt does not ask to change, with a "
            "source_prompt. More: less else changes, and the change succeeds less often. 0: only "
            "the prompt counts.",
        ),
    ]


def _mirror_input() -> io.Input:
    return advanced(
        io.Boolean.Input(
            "mirror",
            default=True,
            tooltip="Mirror half of the random crops. Off: left and right in the prompt count; "
            "results are slightly more often adversarial.",
        )
    )


class ClipLoss(io.ComfyNode):
    """Pulls images towards texts, and away from others."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_ClipLoss",
            display_name="CLIP Loss",
            category=f"{CATEGORY}/loss",
            description="A loss that makes images match a text.",
            search_aliases=["text edit", "prompt", "inpaint", "text to image", "guidance"],
            has_intermediate_output=True,
            inputs=[
                widgets.guide(),
                widgets.prompt(
                    widgets.DEMO_PROMPT,
                    "What the whole result should show, not only the change. Several parts: a red "
                    "fox:1 | blurry:-0.4, for a while: | snow:1@0.5-1. For a batch: one line for "
                    "all images or one line per image.",
                ),
                widgets.prompt(
                    "",
                    "What the result should not look like; empty for none. Its similarity is "
                    "subtracted: this is not classifier-free guidance.",
                    name="negative_prompt",
                ),
                *_crop_inputs(),
                widgets.weight(
                    "Weight of this loss relative to others: 2 counts twice as much as 1."
                ),
                advanced(
                    io.Float.Input(
                        "negative_weight",
                        default=0.5,
                        min=0.0,
                        max=10.0,
                        step=0.05,
                        tooltip="Weight of negative_prompt relative to the prompt. More: further "
                        "away from it. 0: it is ignored.",
                    )
                ),
                _mirror_input(),
                *source_inputs(
                    "What the image shows now, in words like the prompt's: a blue square, for the "
                    "prompt a green star. Then only what differs is changed. Empty: the whole "
                    "image may change. Plain text; for a batch, one line for all images or one "
                    "line per image."
                ),
            ],
            outputs=[widgets.loss_output()],
        )

    @classmethod
    def execute(
        cls,
        guide: LoadedGuide,
        prompt: str,
        negative_prompt: str,
        random_crops: bool,
        crops: int,
        weight: float,
        negative_weight: float = 0.5,
        mirror: bool = True,
        source_prompt: str = "",
        preserve: float = PRESERVE,
    ) -> io.NodeOutput:
        term = ClipTerm(
            guide=guide,
            lines=prompt_lines(prompt),
            negative_prompt=optional_text(negative_prompt),
            crops=crops if random_crops else 0,
            weight=weight,
            negative_weight=negative_weight,
            mirror=mirror,
            source=optional_lines(source_prompt),
            preserve=preserve,
        )
        return io.NodeOutput(LossRecipe((term,)), ui={"tokenopt_notes": prompt_remarks(term)})


class ImagePromptLoss(io.ComfyNode):
    """Pulls images towards what another image shows."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_ImagePromptLoss",
            display_name="Image Prompt Loss",
            category=f"{CATEGORY}/loss",
            description="A loss that makes images resemble a given image in CLIP's embedding: in "
            "content and style, not in pixels.",
            search_aliases=["clip", "reference image", "style", "variation"],
            inputs=[
                widgets.guide(),
                widgets.image(
                    "The image to resemble, any size; its central square is used. One for all "
                    "optimized images, or one each."
                ),
                *_crop_inputs(),
                widgets.weight(
                    "Weight of this loss relative to others: 2 counts twice as much as 1. Below "
                    "0: away from the image.",
                    least=-widgets.MOST_WEIGHT,
                ),
                _mirror_input(),
            ],
            outputs=[widgets.loss_output()],
        )

    @classmethod
    def execute(
        cls,
        guide: LoadedGuide,
        image: torch.Tensor,
        random_crops: bool,
        crops: int,
        weight: float,
        mirror: bool = True,
    ) -> io.NodeOutput:
        crops = crops if random_crops else 0
        term = ImagePromptTerm(guide, to_images(image), crops, weight, mirror)
        return io.NodeOutput(LossRecipe((term,)))


class CombineLosses(io.ComfyNode):
    """The sum of two losses, each with its own weight; one alone is handed on."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        again = "multiplies the loss's own weight. Below 0: the loss is maximized."
        return schema(
            node_id="TokenOpt_CombineLosses",
            display_name="Combine Losses",
            category=f"{CATEGORY}/loss",
            description="Adds two losses; chain several for more.",
            search_aliases=["add losses", "weighted sum", "mix losses"],
            inputs=[
                widgets.loss(
                    "First loss; its own weight applies. A single loss is passed through.",
                    name="loss_a",
                    optional=True,
                ),
                widgets.loss(
                    "Second loss; its own weight applies. A single loss is passed through.",
                    name="loss_b",
                    optional=True,
                ),
                widgets.weight(
                    f"For loss_a: {again}",
                    name="weight_a",
                    least=-widgets.MOST_WEIGHT,
                    optional=True,
                ),
                widgets.weight(
                    f"For loss_b: {again}",
                    name="weight_b",
                    least=-widgets.MOST_WEIGHT,
                    optional=True,
                ),
            ],
            outputs=[widgets.loss_output()],
        )

    @classmethod
    def execute(
        cls,
        loss_a: LossRecipe | None = None,
        loss_b: LossRecipe | None = None,
        weight_a: float = 1.0,
        weight_b: float = 1.0,
    ) -> io.NodeOutput:
        given = (("loss_a", loss_a, weight_a), ("loss_b", loss_b, weight_b))
        recipes = [recipe_of(loss, name).times(w) for name, loss, w in given if loss is not None]
        if not recipes:
            raise ValueError(
                "loss_a and loss_b are both not connected, expected one loss at least; connect "
                "one, or bypass what needs the loss too."
            )
        return io.NodeOutput(LossRecipe(sum((recipe.terms for recipe in recipes), ())))
