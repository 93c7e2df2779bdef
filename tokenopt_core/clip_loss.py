"""Losses that a text guides: similarity of random crops to a prompt (arXiv 2506.08257, section 4).

Axes: b images, n crops of each, e embedding size, h x w pixels.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .crops import crop_side, draw_crops, resize, take_crops
from .gradients import require_normal_weights
from .guides import Guide
from .randomness import CROP_STREAM, generators


class ClipLoss:
    """Minus the similarity of random crops to a prompt, in CLIP's or SigLIP's embedding (-1 to 1).

    A negative prompt adds `negative_weight` times the similarity to it: the image moves away from
    that text. It is not classifier-free guidance, which would extrapolate a prediction and not a
    loss. With 1 both texts count the same, with 0 the negative prompt is ignored.
    """

    def __init__(
        self,
        guide: Guide,
        prompt: str | Sequence[str],
        negative_prompt: str | Sequence[str] | None = None,
        *,
        crops: int = 8,
        crop_area: float = 0.765625,
        flip: bool = True,
        negative_weight: float = 0.5,
        name: str = "clip",
    ):
        """
        Args:
            prompt: one text for all images or one per image; the same holds for `negative_prompt`.
            crops: random crops per image and call; 0 looks at the whole image once.
            crop_area: share of the image that a crop covers; the default is 224 of 256 pixels a
                side.
            flip: mirror every other crop, by chance.
            name: the loss's name among the terms.
        """
        if not isinstance(crops, int) or crops < 0:
            raise ValueError(f"crops is {crops!r}: expected an integer of 0 or more.")
        if not 0 < crop_area <= 1:
            raise ValueError(f"crop_area is {crop_area!r}: expected a share above 0 and up to 1.")
        if not math.isfinite(negative_weight) or negative_weight < 0:
            raise ValueError(f"negative_weight is {negative_weight!r}: expected 0 or more.")
        self.guide = guide
        self.crops = crops
        self.crop_area = crop_area
        self.flip = flip
        self.name = name
        self.prompt = _texts(prompt, "prompt")
        self.negative_prompt = _texts(negative_prompt or "", "negative_prompt", optional=True)
        self.negative_weight = negative_weight
        self._targets: list[tuple[str, float, Tensor]] | None = None
        self._sources: list[torch.Generator] | None = None

    def seeded(self, seeds: Sequence[int]) -> ClipLoss:
        """A copy whose crops come from one generator per image, other ones at each call.

        Without seeds every call looks at the same crops, those of the seeds 0, 1, ...
        """
        require_normal_weights(self.guide, "guide")
        self._encode_texts(torch.device("cpu"))
        other = copy.copy(self)
        other._sources = generators(seeds, CROP_STREAM)
        return other

    def terms(self, images: Tensor) -> dict[str, Tensor]:
        """The prompt's and the negative prompt's part, (b,) each."""
        targets = self._encode_texts(images.device)
        for name, _, text in targets:
            if len(text) not in (1, len(images)):
                raise ValueError(
                    f"{name} has {len(text)} texts for {len(images)} images: "
                    "give one text or one per image."
                )
        embedding = self._embed(images).mean(1)  # (b, e), averaging first costs one product
        return {name: weight * (embedding * text).sum(-1) for name, weight, text in targets}

    def __call__(self, images: Tensor) -> Tensor:
        return sum(self.terms(images).values())

    def _encode_texts(self, device: torch.device) -> list[tuple[str, float, Tensor]]:
        """Name, weight, unit-length features (1 or b, e) of each text; encoded and moved once."""
        with torch.inference_mode(False), torch.no_grad():
            if self._targets is None:
                self._targets = [(self.name, -1.0, self.guide.encode_text(self.prompt))]
                if self.negative_prompt and self.negative_weight:
                    text = self.guide.encode_text(self.negative_prompt)
                    self._targets.append((f"{self.name} negative", self.negative_weight, text))
            self._targets = [
                (name, weight, text.to(device)) for name, weight, text in self._targets
            ]
        return self._targets

    def _embed(self, images: Tensor) -> Tensor:
        """Unit-length features (b, n, e) of the crops of every image."""
        b, _, h, w = images.shape
        if not self.crops:
            return self.guide.encode_image(resize(images, self.guide.image_size))[:, None]
        sources = self._sources or generators(range(b), CROP_STREAM)
        if len(sources) != b:
            raise ValueError(f"{self.name} was seeded for {len(sources)} images and got {b}.")
        side = crop_side(h, w, self.crop_area)
        drawn = draw_crops(sources, self.crops, h - side + 1, w - side + 1, self.flip)
        views = take_crops(images, drawn, (side, side), self.guide.image_size)
        return self.guide.encode_image(views.flatten(0, 1)).unflatten(0, (b, self.crops))


def _texts(prompt: str | Sequence[str], what: str, optional: bool = False) -> list[str]:
    """The prompt as a list of texts, none of them empty; none at all only where that is allowed."""
    texts = [prompt] if isinstance(prompt, str) else list(prompt)
    if optional and not any(text.strip() for text in texts):
        return []
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError(
            f"{what} is {prompt!r}: expected a text, or one per image, none of them empty."
        )
    return texts
