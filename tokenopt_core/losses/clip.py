"""Losses that a guide's embedding gives: similarity to prompts and to images.

arXiv 2506.08257, section 4. Axes: b images, e embedding size, h x w pixels.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..checks import check_images, python_numbers
from ..guides.crop_encoder import CachedFeatures, CropEncoder
from ..guides.guide import Guide
from .base import Loss, free_name
from .prompts import (
    MAX_WEIGHT,
    Prompt,
    PromptTerm,
    WeightedText,
    listed,
    parse_prompts,
    prompt_remarks,
    prompt_terms,
)


class ClipLoss(Loss):
    """Minus the similarity of random crops to a prompt, in CLIP's or SigLIP's embedding (-1 to 1).

    A prompt may have weighted and scheduled parts, see `.prompts`: the loss is minus the weighted
    sum of the similarities. A negative weight adds the similarity itself, and so does a negative
    prompt times `negative_weight`: the image moves away from that text. It is not classifier-free
    guidance, which extrapolates a model's prediction and has no loss. With weight 1 both texts
    count the same, with 0 the text is ignored.
    """

    @python_numbers
    def __init__(
        self,
        guide: Guide,
        prompt: Prompt | Sequence[Prompt],
        negative_prompt: str | Sequence[str] | None = None,
        *,
        crops: int = 8,
        crop_area: float = 0.765625,
        flip: bool = True,
        negative_weight: float = 0.5,
        name: str = "clip",
        chunk_size: int = 0,
    ):
        """
        Args:
            prompt: one for all images or one per image; text is parsed, see `parse_prompt`.
            negative_prompt: plain text without weights, also one for all or one per image.
            crops: random crops per image and call; 0 is the whole image, once.
            crop_area: share of the image that a crop covers; the default is 224 of 256 pixels a
                side.
            flip: mirror every other crop, by chance.
            name: the loss's name among the terms.
            chunk_size: crops that the guide sees in one pass, each pass again for the gradient: a
                third slower, with the memory of so many. 0 is all crops of all images.
        """
        if not math.isfinite(negative_weight) or not 0 <= negative_weight <= MAX_WEIGHT:
            raise ValueError(
                f"negative_weight is {negative_weight!r}: expected 0 or more, up to {MAX_WEIGHT:g}."
            )
        self.guide, self.name = guide, name
        self.prompts = parse_prompts(prompt)
        self._encoder = CropEncoder(
            guide, crops=crops, crop_area=crop_area, flip=flip, chunk_size=chunk_size
        )
        self._terms = prompt_terms(guide, self.prompts, name)
        self.negative_texts = _negative_texts(negative_prompt)
        if self.negative_texts and negative_weight:
            parts = [WeightedText(text, -negative_weight) for text in self.negative_texts]
            self._terms.append(PromptTerm(f"{name} negative", guide, parts))
        self._progress = 0.0

    def seeded(self, seeds: Sequence[int], calls: int = 0) -> ClipLoss:
        """A copy whose crops come from one generator per image, other ones at each call.

        It goes on as after `calls` calls. Without seeds every call has the same crops, those
        of the seeds 0, 1, ...
        """
        other = copy.copy(self)
        other._encoder = self._encoder.seeded(seeds, calls)
        for term in self._terms:
            term.features.make()
        return other

    def cast(self, dtype: torch.dtype, device: torch.device | None = None) -> ClipLoss:
        """A copy that embeds images in `dtype`; texts as before."""
        other = copy.copy(self)
        other._encoder = self._encoder.cast(dtype, device)
        return other

    def at(self, progress: float) -> ClipLoss:
        """A copy for this share of the run, 0 to 1; without it the loss is as at the start."""
        other = copy.copy(self)
        other._progress = progress
        return other

    @property
    def scheduled(self) -> bool:
        """Whether a text counts in a part of the run only."""
        parts = [part for term in self._terms for part in term.parts if part and part.weight]
        return any(part.start > 0 or part.end < 1 for part in parts)

    def terms(self, images: Tensor) -> dict[str, Tensor]:
        """The part (b,) of every text; 0 while the schedule leaves it out.

        Raises:
            ValueError: there are several texts, but not one per image.
        """
        check_images(images, f"images of {self.name}")
        for term in self._terms:
            if len(term.parts) not in (1, len(images)):
                raise ValueError(
                    f"{term.name} has {len(term.parts)} texts for {len(images)} images: "
                    "give one text or one per image."
                )
        # Also when no text counts: the crops of an image must not depend on its batch mates.
        embedding = self._encoder.embed(images, self.name)
        result: dict[str, Tensor] = {}
        for term in self._terms:
            similarity = (embedding * term.features.on(images.device)).sum(-1)
            weights = term.weights(self._progress, images.device)
            result[free_name(term.name, result)] = weights * similarity
        return result

    def remarks(self) -> list[str]:
        """Sentences for the user: what the guide cannot read, what a prompt does not say."""
        texts = [part.text for term in self._terms for part in term.parts if part]
        unread = self.guide.remarks(list(dict.fromkeys(texts)))
        return unread + prompt_remarks(self.prompts, self.negative_texts)


class ClipImageLoss(Loss):
    """Minus the similarity of random crops to an image, in the guide's embedding (-1 to 1).

    The whole of the given image is embedded, once. What it shows counts, not its pixels.
    """

    def __init__(
        self,
        guide: Guide,
        image: Tensor,
        *,
        crops: int = 8,
        crop_area: float = 0.765625,
        flip: bool = True,
        name: str = "clip image",
        chunk_size: int = 0,
    ):
        """
        Args:
            image: (1 or b, 3, h, w) in [0, 1], any size; one for all images or one per image.
            crops, crop_area, flip, name, chunk_size: as for `ClipLoss`.
        """
        check_images(image, "image", "1 or b")
        if 0 in image.shape:
            raise ValueError(f"image has shape {tuple(image.shape)}: expected at least one pixel.")
        with torch.inference_mode(False):  # a clone: it may come from a node
            image = image.detach().clone().float()
        if not ((image >= 0) & (image <= 1)).all():
            raise ValueError("image has values that are no numbers from 0 to 1: clamp it first.")
        self.guide, self.name = guide, name
        self._encoder = CropEncoder(
            guide, crops=crops, crop_area=crop_area, flip=flip, chunk_size=chunk_size
        )
        self._count = len(image)
        encoder = self._encoder  # and not `self`: a circle would keep the guide in memory
        self._target = CachedFeatures(lambda: encoder.embed_whole(image.to(guide.weights_device)))

    def seeded(self, seeds: Sequence[int], calls: int = 0) -> ClipImageLoss:
        """A copy whose crops come from one generator per image, as `ClipLoss.seeded`."""
        other = copy.copy(self)
        other._encoder = self._encoder.seeded(seeds, calls)
        self._target.make()
        return other

    def cast(self, dtype: torch.dtype, device: torch.device | None = None) -> ClipImageLoss:
        """A copy that embeds images in `dtype`, and its target as before."""
        other = copy.copy(self)
        other._encoder = self._encoder.cast(dtype, device)
        return other

    def __call__(self, images: Tensor) -> Tensor:
        check_images(images, f"images of {self.name}")
        if self._count not in (1, len(images)):
            raise ValueError(
                f"{self.name} compares {len(images)} images with {self._count}: give one image or "
                "one per image."
            )
        embedding = self._encoder.embed(images, self.name)
        return -(embedding * self._target.on(images.device)).sum(-1)


def _negative_texts(prompt: str | Sequence[str] | None) -> list[str]:
    texts = listed("" if prompt is None else prompt, "negative_prompt")
    if not any(text.strip() for text in texts):
        return []
    if not all(text.strip() for text in texts):
        raise ValueError(
            f"negative_prompt is {prompt!r}: expected a text, or one per image, none of them empty."
        )
    return texts
