"""Losses that a guide's embedding gives: similarity to prompts and to images.

arXiv 2506.08257, section 4. Axes: b images, e embedding size, h x w pixels.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

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

SMALLEST_CHANGE = 0.05  # of an embedding of length 1; edits change it by 0.3 to 1

SAME_TEXT = 1e-3  # distance of two texts' embeddings; other words are 0.02 and more apart


class ClipLoss(Loss):
    """Minus the similarity of random crops to a prompt, in CLIP's or SigLIP's embedding (-1 to 1).

    A prompt may have weighted and scheduled parts, see `.prompts`: the loss is minus the weighted
    sum of the similarities. A negative weight adds the similarity itself, and so does a negative
    prompt times `negative_weight`: the image moves away from that text. It is not classifier-free
    guidance, which extrapolates a model's prediction and has no loss. With weight 1 both texts
    count the same, with 0 the text is ignored.

    With a source prompt the edit keeps what it is not asked to change: in place of every similarity
    stands the cosine between the change of the image since the start of the run and the change from
    the source prompt to the text (StyleGAN-NADA, arXiv 2108.00946, section 4.1), or with `preserve`
    below 1 a mean of both.
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
        source_prompt: str | Sequence[str] | None = None,
        preserve: float = 1.0,
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
            source_prompt: what the image shows at the start of the run, in words like the prompt's;
                plain text, one for all or one per image. `optimize` tells the start; see `started`.
            preserve: how much the direction counts against the similarity, 0 (as without a source
                prompt) to 1.
            name: the loss's name among the terms.
            chunk_size: crops that the guide sees in one pass, each pass again for the gradient: a
                third slower, with the memory of so many. 0 is all crops of all images.
        """
        if not math.isfinite(negative_weight) or not 0 <= negative_weight <= MAX_WEIGHT:
            raise ValueError(
                f"negative_weight is {negative_weight!r}: expected 0 or more, up to {MAX_WEIGHT:g}."
            )
        if not math.isfinite(preserve) or not 0 <= preserve <= 1:
            raise ValueError(f"preserve is {preserve!r}: expected a number from 0 to 1.")
        self.guide, self.name, self.preserve = guide, name, preserve
        self.prompts = parse_prompts(prompt)
        self._encoder = CropEncoder(
            guide, crops=crops, crop_area=crop_area, flip=flip, chunk_size=chunk_size
        )
        self._terms = prompt_terms(guide, self.prompts, name)
        self.negative_texts = _plain_texts(negative_prompt, "negative_prompt")
        if self.negative_texts and negative_weight:
            parts = [WeightedText(text, -negative_weight) for text in self.negative_texts]
            self._terms.append(PromptTerm(f"{name} negative", guide, parts))
        self.source_texts = _plain_texts(source_prompt, "source_prompt")
        source = [WeightedText(text) for text in self.source_texts if preserve]
        self._source = PromptTerm(f"source prompt of {name}", guide, source) if source else None
        self._start: Tensor | None = None
        self._progress = 0.0

    def seeded(self, seeds: Sequence[int], calls: int = 0) -> ClipLoss:
        """A copy whose crops come from one generator per image, other ones at each call.

        It goes on as after `calls` calls. Without seeds every call has the same crops, those
        of the seeds 0, 1, ...
        """
        other = copy.copy(self)
        other._encoder = self._encoder.seeded(seeds, calls)
        for term in self._every_term():
            term.features.make()
        return other

    def started(self, start: Callable[[], Tensor]) -> ClipLoss:
        """A copy for a run from these images (b, 3, h, w); itself without a source prompt."""
        if self._source is None:
            return self
        other = copy.copy(self)
        other._start = start()
        check_images(other._start, f"the start of {self.name}")
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
            ValueError: there are several texts, but not one per image; or there is a source prompt
                and no start, see `started`.
        """
        check_images(images, f"images of {self.name}")
        for term in self._every_term():
            if len(term.parts) not in (1, len(images)):
                raise ValueError(
                    f"{term.name} has {len(term.parts)} texts for {len(images)} images: "
                    "give one text or one per image."
                )
        # Also when no text counts: the crops of an image must not depend on its batch mates.
        likeness = self._likeness(images)
        result: dict[str, Tensor] = {}
        for term in self._terms:
            weights = term.weights(self._progress, images.device)
            result[free_name(term.name, result)] = weights * likeness(
                term.features.on(images.device)
            )
        return result

    def _likeness(self, images: Tensor) -> Callable[[Tensor], Tensor]:
        """Texts' features (1 or b, e) -> how well the images agree with them (b,), -1 to 1."""
        if self._source is None:
            embedding = self._encoder.embed(images, self.name)
            return lambda texts: (embedding * texts).sum(-1)
        if self._start is None:
            raise ValueError(
                f"{self.name} has a source prompt, but there is no image at the start to compare "
                "with: leave the source prompt out here, or tell the start by `started`."
            )
        if self._start.shape != images.shape:
            raise ValueError(
                f"{self.name} compares images {tuple(images.shape)} with a start of "
                f"{tuple(self._start.shape)}: expected the same shape."
            )
        embedding, before = self._encoder.embed_with(images, self._start, self.name)
        change = embedding - before
        # Softened near the start, where a change of nothing has no direction.
        length = (change.square().sum(-1, keepdim=True) + SMALLEST_CHANGE**2).sqrt()
        direction, source = change / length, self._source.features.on(images.device)

        def likeness(texts: Tensor) -> Tensor:
            wanted = texts - source
            size = wanted.norm(dim=-1, keepdim=True)
            # The same text twice differs by rounding, which is no direction either.
            wanted = torch.where(size > SAME_TEXT, wanted / size, 0)
            along = (direction * wanted).sum(-1)
            return torch.lerp((embedding * texts).sum(-1), along, self.preserve)

        return likeness

    def _every_term(self) -> list[PromptTerm]:
        return self._terms if self._source is None else [*self._terms, self._source]

    def remarks(self) -> list[str]:
        """Sentences for the user: what the guide cannot read, what a prompt does not say."""
        texts = [part.text for term in self._every_term() for part in term.parts if part]
        unread = self.guide.remarks(list(dict.fromkeys(texts)))
        count = max(len(self.prompts), len(self.source_texts))
        pairs = zip(self.source_texts * count, self.prompts * count, strict=False)
        same = [
            f"the source prompt says the same as the prompt, {text!r}, so no change is asked for."
            for text, parts in [*pairs][:count]
            if self.preserve and text in {part.text for part in parts}
        ]
        return unread + same + prompt_remarks(self.prompts, self.negative_texts, self.source_texts)


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


def _plain_texts(prompt: str | Sequence[str] | None, name: str) -> list[str]:
    """The texts of a prompt without parts and weights, none where all are empty."""
    texts = listed("" if prompt is None else prompt, name)
    if not any(text.strip() for text in texts):
        return []
    if not all(text.strip() for text in texts):
        raise ValueError(
            f"{name} is {prompt!r}: expected a text, or one per image, none of them empty."
        )
    return texts
