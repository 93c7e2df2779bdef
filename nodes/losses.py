"""CLIP Loss, L1 Masked Loss and Combine Losses (arXiv 2506.08257, sections 4 and 5)."""

from __future__ import annotations

import torch

from .compat import CATEGORY, advanced, io
from .images import to_images, to_masks
from .recipes import ClipTerm, LossRecipe, MaskedL1Term
from .types import GuideSocket, LoadedGuide, LossSocket


def _weight(tooltip: str) -> io.Input:
    return io.Float.Input(
        "weight",
        default=1.0,
        min=0.0,
        max=1000.0,
        step=0.05,
        tooltip=f"{tooltip} 0: off.",
    )


class ClipLoss(io.ComfyNode):
    """Pulls images towards a text, and away from another."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TokenOpt_ClipLoss",
            display_name="CLIP Loss",
            category=CATEGORY,
            description="Asks for images that match a text.",
            inputs=[
                GuideSocket.Input("guide", tooltip="From Load CLIP Guide."),
                io.String.Input(
                    "prompt",
                    multiline=True,
                    default="a large green star in the middle, plain sky background, bright, sharp",
                    tooltip="What the result should show. Describe the whole image, not only the "
                    "change. One line for all images, or one line per image of the batch.",
                ),
                io.String.Input(
                    "negative_prompt",
                    multiline=True,
                    default="",
                    tooltip="What the result should not look like; empty for none. Its similarity "
                    "is subtracted: this is not classifier-free guidance.",
                ),
                io.Boolean.Input(
                    "random_crops",
                    default=True,
                    tooltip="Compare random crops, mirrored at random, instead of the whole image: "
                    "the strongest protection against results that please only CLIP.",
                ),
                io.Int.Input(
                    "crops",
                    default=8,
                    min=1,
                    max=64,
                    tooltip="Random crops per image and step (paper: 8). More: smoother and "
                    "slower; ignored when random_crops is off.",
                ),
                _weight("Importance of this loss beside others."),
                advanced(
                    io.Float.Input(
                        "negative_weight",
                        default=0.5,
                        min=0.0,
                        max=10.0,
                        step=0.05,
                        tooltip="Strength of negative_prompt relative to the prompt.",
                    )
                ),
                advanced(
                    io.Boolean.Input(
                        "mirror",
                        default=True,
                        tooltip="Mirror half of the random crops. Off: left and right in the "
                        "prompt count; results please CLIP alone a little more easily.",
                    )
                ),
            ],
            outputs=[LossSocket.Output(display_name="loss", tooltip="For the Token Optimizer.")],
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
    ) -> io.NodeOutput:
        prompts = tuple(line.strip() for line in prompt.splitlines() if line.strip())
        if not prompts:
            raise ValueError("prompt is empty; describe what the image should show.")
        term = ClipTerm(
            guide=guide,
            prompts=prompts,
            negative_prompt=" ".join(negative_prompt.split()) or None,
            crops=crops if random_crops else 0,
            weight=weight,
            negative_weight=negative_weight,
            mirror=mirror,
        )
        return io.NodeOutput(LossRecipe((term,)))


class MaskedL1Loss(io.ComfyNode):
    """Keeps the part of an image that the mask leaves out."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TokenOpt_MaskedL1Loss",
            display_name="L1 Masked Loss",
            category=CATEGORY,
            description="Asks for images equal to a given one outside the mask (inpainting).",
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="The image to keep. Any size: cropped and resized as by TiTok Encode. "
                    "One for all optimized images, or one each.",
                ),
                io.Mask.Input(
                    "mask",
                    tooltip="1 (white) = may change, 0 (black) = keep. Another size than the "
                    "image's is resized to it. Soft edges work best.",
                ),
                _weight("Importance of this loss beside others. More keeps the known part better."),
            ],
            outputs=[LossSocket.Output(display_name="loss", tooltip="For the Token Optimizer.")],
        )

    @classmethod
    def execute(cls, image: torch.Tensor, mask: torch.Tensor, weight: float) -> io.NodeOutput:
        target = to_images(image)
        masks = to_masks(mask, tuple(target.shape[2:]))
        if masks.amin() >= 1:
            raise ValueError(
                "mask is 1 everywhere, so nothing of the image is kept; expected 0 (black) where "
                "the image must not change. Invert the mask if it is the wrong way round."
            )
        return io.NodeOutput(LossRecipe((MaskedL1Term(target, masks, weight),)))


class CombineLosses(io.ComfyNode):
    """The sum of two losses, each with its own weight."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TokenOpt_CombineLosses",
            display_name="Combine Losses",
            category=CATEGORY,
            description="Adds two losses; chain several for more.",
            inputs=[
                LossSocket.Input("loss_a", tooltip="First loss; its own weight applies."),
                LossSocket.Input("loss_b", tooltip="Second loss; its own weight applies."),
            ],
            outputs=[LossSocket.Output(display_name="loss", tooltip="For the Token Optimizer.")],
        )

    @classmethod
    def execute(cls, loss_a: LossRecipe, loss_b: LossRecipe) -> io.NodeOutput:
        return io.NodeOutput(LossRecipe(loss_a.terms + loss_b.terms))
