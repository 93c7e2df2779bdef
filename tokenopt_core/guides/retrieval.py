"""Seed association by CLIP: the image of a pool to start from (arXiv 2506.08257, section 5.2).

Axes: p prompts, i images, e embedding size, h and w pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..checks import python_numbers
from ..compute.memory import Chunks
from ..compute.seeds import RETRIEVAL_STREAM, generators, image_seeds
from ..demo.captions import mentioned, reworded
from ..demo.world import ATTRIBUTES
from ..images.fit import fit_images
from .guide import Guide

CHOICES = ("best", "top percent", "random")
CHUNK = 16  # images in one pass; more is hardly faster and takes more memory


@python_numbers
@torch.no_grad()
def embed_images(
    guide: Guide,
    images: Tensor,
    *,
    chunk: int = CHUNK,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """Unit-length embeddings (i, e), float32 on the CPU, of the central squares of images
    (i, 3, h, w) in [0, 1].

    Args:
        chunk: images in one pass, which bounds the memory; fewer where it does not suffice.
        progress: called with the images done and in all; what it raises ends the work.
    """
    device = guide.weights_device

    def embed(rows: slice) -> Tensor:
        return guide.encode_image(fit_images(images[rows], guide.image_size).to(device)).cpu()

    parts = []
    for rows, part in Chunks(chunk).parts(len(images), embed):
        parts.append(part)
        progress(rows.stop, len(images))
    return torch.cat(parts)


def similarities(guide: Guide, prompts: Sequence[str], embeddings: Tensor) -> Tensor:
    """Cosine similarities (p, i) of prompts with images of these embeddings (i, e)."""
    return guide.encode_text(prompts) @ embeddings.T


def read_scenes(guide: Guide, images: Tensor, prompts: Sequence[str]) -> list[str]:
    """What demo scenes show of the attributes that prompts name, in the prompts' words, as the
    guide reads them: a source prompt for `ClipLoss`. Of "a green star" and a blue square it is
    "a blue square".

    Zero-shot, one attribute after the other and twice, the others as they were found last.

    Args:
        images: (i, 3, h, w) in [0, 1].
        prompts: one for each image, plain text.
    """
    return [
        _read_scene(guide, embedding, prompt)
        for embedding, prompt in zip(embed_images(guide, images), prompts, strict=True)
    ]


def _read_scene(guide: Guide, embedding: Tensor, prompt: str) -> str:
    found = mentioned(prompt)
    for name in [*found] * 2:
        scenes = [found | {name: value} for value in ATTRIBUTES[name]]
        texts = [reworded(prompt, scene) for scene in scenes]
        found = scenes[int(similarities(guide, texts, embedding[None]).argmax())]
    return reworded(prompt, found)


@python_numbers
def choose(
    scores: Tensor, how: str = "best", *, percent: float = 10.0, seed: int | Sequence[int] = 0
) -> list[int]:
    """The index of one image for each prompt.

    Args:
        scores: (p, i), higher is better.
        how: "best" takes the first of the highest; "top percent" draws one of the `percent` % with
            the highest scores, from one image at least; "random" draws one of all.
        seed: prompt k draws with seed + k, or with entry k of a sequence.

    Raises:
        ValueError: no image, or `how` or `percent` is none of these.
    """
    prompts, images = scores.shape
    if not images:
        raise ValueError("there is no image to choose from, expected one at least.")
    if how not in CHOICES:
        raise ValueError(f"choose is {how!r}, expected one of {', '.join(CHOICES)}.")
    if how == "best":
        return scores.argsort(dim=1, descending=True, stable=True)[:, 0].tolist()
    if how == "random":
        scores, count = torch.zeros_like(scores), images
    else:
        count = top_count(images, percent)
    ranked = scores.argsort(dim=1, descending=True, stable=True)
    sources = generators(image_seeds(seed, prompts), RETRIEVAL_STREAM)
    return [
        int(ranked[k, torch.randint(count, (), generator=source)])
        for k, source in enumerate(sources)
    ]


@python_numbers
def top_count(images: int, percent: float) -> int:
    """How many of so many images are the top `percent` %, one at least.

    Raises:
        ValueError: percent is not above 0 and at most 100.
    """
    if not 0 < percent <= 100:  # NaN neither
        raise ValueError(
            f"percent is {percent:g}, expected a number above 0 and at most 100: the share of the "
            "images to draw from."
        )
    return max(1, round(images * percent / 100))
