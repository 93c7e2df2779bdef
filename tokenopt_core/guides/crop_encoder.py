"""Embeddings of images by a guide: of random crops, or of the whole (arXiv 2506.08257, 4.2).

Axes: b images, n crops of each, e embedding size, h x w pixels.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from ..checks import python_numbers
from ..compute.gradients import require_normal_weights
from ..compute.memory import in_chunks
from ..compute.seeds import CROP_STREAM, generators
from ..images.crops import crop_side, draw_crops, squash, take_crops
from .guide import Guide


class CropEncoder:
    """A guide's embedding of random crops, other ones at each call once it is seeded."""

    @python_numbers
    def __init__(
        self, guide: Guide, *, crops: int, crop_area: float, flip: bool, chunk_size: int = 0
    ):
        """
        Args:
            crops: random crops per image and call; 0 embeds the whole image instead.
            crop_area: share of the image that a crop covers.
            flip: mirror every other crop, by chance.
            chunk_size: crops that the guide embeds in one pass, see `in_chunks`; 0 is all.
        """
        if not hasattr(guide, "encode_image"):
            raise ValueError(
                f"guide: found the type {type(guide).__name__}, expected a Guide, as load_guide "
                "gives it."
            )
        if not isinstance(crops, int) or crops < 0:
            raise ValueError(f"crops is {crops!r}: expected an integer of 0 or more.")
        if not 0 < crop_area <= 1:
            raise ValueError(f"crop_area is {crop_area!r}: expected a share above 0 and up to 1.")
        self.guide, self.crops, self.crop_area, self.flip = guide, crops, crop_area, flip
        self.chunk_size = chunk_size
        self._sources: list[Generator] | None = None

    def seeded(self, seeds: Sequence[int], calls: int = 0) -> CropEncoder:
        """A copy whose crops come from one generator per image, as after so many calls.

        Without seeds every call has the same crops, those of the seeds 0, 1, ...
        """
        require_normal_weights(self.guide, "guide")
        other = copy.copy(self)
        other._sources = generators(seeds, CROP_STREAM)
        for _ in range(calls):
            other._draw(other._sources, 1, 1)
        return other

    def cast(self, dtype: torch.dtype, device: torch.device | None = None) -> CropEncoder:
        """A copy that draws the same crops and embeds them in `dtype`, on `device`."""
        other = copy.copy(self)
        other.guide = self.guide.cast(dtype, device)
        return other

    def embed(self, images: Tensor, name: str) -> Tensor:
        """The mean (b, e) of the unit-length features of every image's crops.

        The mean of similarities is the similarity of the mean, which costs one product.

        Args:
            images: (b, 3, h, w) in [0, 1].
            name: of the loss that asks, for the message.
        """
        return self._embed(images, self._drawn(images, name))

    def embed_with(self, images: Tensor, others: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """`embed` of images and, without a gradient, of others (b, 3, h, w), by the same crops."""
        drawn = self._drawn(images, name)
        with torch.no_grad():
            before = self._embed(others, drawn)
        return self._embed(images, drawn), before

    def embed_whole(self, images: Tensor) -> Tensor:
        """Unit-length features (b, e) of the whole images, squashed to the guide's square."""
        return self._encode(squash(images, self.guide.image_size))

    def _drawn(self, images: Tensor, name: str) -> Tensor | None:
        """This call's crops of images (b, 3, h, w); None where the whole image is embedded."""
        b, _, h, w = images.shape
        if not self.crops:
            return None
        sources = self._sources or generators(range(b), CROP_STREAM)
        if len(sources) != b:
            raise ValueError(f"{name} was seeded for {len(sources)} images and got {b}.")
        side = crop_side(h, w, self.crop_area)
        return self._draw(sources, h - side + 1, w - side + 1)

    def _embed(self, images: Tensor, drawn: Tensor | None) -> Tensor:
        if drawn is None:
            return self.embed_whole(images)
        side = crop_side(*images.shape[2:], self.crop_area)
        crops = take_crops(images, drawn, (side, side), self.guide.image_size)
        return self._encode(crops.flatten(0, 1)).unflatten(0, (len(images), self.crops)).mean(1)

    def _encode(self, images: Tensor) -> Tensor:
        """Unit-length features (., e) of images of the guide's size."""
        return in_chunks(self.guide.encode_image, self.chunk_size, images)

    def _draw(self, sources: Sequence[Generator], rows: int, columns: int) -> Tensor:
        return draw_crops(sources, self.crops, rows, columns, self.flip)


class CachedFeatures:
    """Features that a run compares with: computed at the first use, moved once.

    Copies of a loss share this object, so they share what it holds.
    """

    def __init__(self, make: Callable[[], Tensor]):
        self._make = make
        self._features: Tensor | None = None

    def make(self) -> Tensor:
        """The features, where they are, without gradients and fit for a backward pass."""
        with torch.inference_mode(False), torch.no_grad():
            if self._features is None:
                self._features = self._make()
        return self._features

    def on(self, device: torch.device) -> Tensor:
        """The same, moved to `device` for all who hold them."""
        with torch.inference_mode(False), torch.no_grad():
            self._features = self.make().to(device)
        return self._features
