"""The work of Token Importance: tokens and similarities of all images, statistics, responses.

Axes: b images, n tokens, d token size, p texts, s = the tokenizer's image size.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ....tokenopt_core.checks import shown
from ....tokenopt_core.compute.memory import Chunks
from ....tokenopt_core.images.fit import fit_images
from ....tokenopt_core.study.importance import Responses, importance, responses
from ...host.memory import images_per_chunk
from ...host.models import activation_bytes, gradient_scope, guide_bytes
from ...host.progress import BatchProgress
from ...host.sockets import LoadedGuide, LoadedTokenizer
from .report import Partition

OFF = "off"


class Effect(NamedTuple):
    """What tokens are replaced by (or `OFF`), in how many of the images, and the seed."""

    by: str
    images: int
    seed: int


def comparisons(prompts: str) -> list[tuple[str, ...]]:
    """The prompts of each comparison: lines, with an empty line between two comparisons.

    Raises:
        ValueError: nothing there, a comparison with one prompt alone, or one that has it twice.
    """
    blocks = re.split(r"\n\s*\n", prompts.strip())
    groups = [tuple(line.strip() for line in block.split("\n") if line.strip()) for block in blocks]
    if not groups[0]:
        raise ValueError(
            "prompts is empty; expected two or more, one a line, that tell the images apart, such "
            "as bright and dark."
        )
    for group in groups:
        if len(group) < 2:
            raise ValueError(
                f"prompts has {shown(group[0])} with nothing to compare it to; expected two or "
                "more lines, and empty lines only between comparisons."
            )
        twice = [line for line in group if [g.lower() for g in group].count(line.lower()) > 1]
        if twice:
            raise ValueError(
                f"prompts has {shown(twice[0])} twice in one comparison; expected texts that tell "
                "the images apart."
            )
    return groups


def measure(
    tokenizer: LoadedTokenizer,
    guide: LoadedGuide,
    groups: Sequence[tuple[str, ...]],
    images: Iterator[Tensor],
    count: int,
    wanted: Effect,
) -> tuple[list[Partition], Responses | None]:
    """The statistics of every comparison, and the responses if an effect is wanted.

    Args:
        images: `count` of them at most, (3, s, s) in [0, 1], one at a time.

    Raises:
        ValueError: fewer than 2 images can be read, or none fits one of the prompts.
    """
    size, module = tokenizer.spec.image_size, tokenizer.module
    batch = images_per_chunk(size)
    memory = activation_bytes(size, batch, gradients=False) + guide_bytes(guide, batch)
    decoded = 0 if wanted.by == OFF else min(wanted.images, count) * tokenizer.spec.num_tokens
    with gradient_scope(tokenizer, guide, memory=memory) as device, torch.no_grad():
        similarities = _similarities_with(guide, sum(groups, ()), device)
        progress = BatchProgress(count + decoded)
        chunks = [
            chunk
            for some in _batches(images, batch)
            for chunk in _encoded(module, similarities, some.to(device), progress)
        ]
        tokens, scores = (torch.cat(each) for each in zip(*chunks, strict=True))
        partitions = _partitions(tokens, scores, groups)
        if wanted.by == OFF:
            return partitions, None
        progress.start = count
        effect = responses(
            module,
            tokens[_spread(len(tokens), wanted.images)],
            similarities,
            by=wanted.by,
            seed=wanted.seed,
            batch=batch,
            progress=progress,
        )
        return partitions, effect


def _encoded(
    tokenizer: torch.nn.Module,
    similarities: Callable[[Tensor], Tensor],
    images: Tensor,
    progress: BatchProgress,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Quantized tokens (., n, d) and similarities (., p) of images (b, 3, s, s), b at a time or
    fewer."""

    def work(rows: slice) -> tuple[Tensor, Tensor]:
        tokens = tokenizer.quantize(tokenizer.encode(images[rows])).tokens
        return tokens.float().cpu(), similarities(images[rows]).cpu()

    for rows, chunk in Chunks(len(images)).parts(len(images), work):
        yield chunk
        progress(progress.done + rows.stop - rows.start, progress.total)


def _spread(count: int, most: int) -> Tensor:
    """Up to `most` of the numbers below `count`, evenly spread."""
    return torch.linspace(0, count - 1, min(most, count)).round().long()


def _partitions(
    tokens: Tensor, scores: Tensor, groups: Sequence[tuple[str, ...]]
) -> list[Partition]:
    """Each group's partition of images with tokens (b, n, d) and similarities (b, p)."""
    if len(tokens) < 2:
        raise ValueError(f"only {len(tokens)} image can be read; expected 2 or more to compare.")
    partitions, first = [], 0
    for group in groups:
        texts = slice(first, first + len(group))
        classes = scores[:, texts].argmax(1)
        missing = set(range(len(group))) - set(classes.tolist())
        if missing:
            raise ValueError(
                f"prompts: none of the {len(tokens)} images fits {shown(group[min(missing)])} "
                "best; expected images of every kind, so add some or change the prompts."
            )
        partitions.append(Partition(group, texts, importance(tokens, classes, len(group))))
        first = texts.stop
    return partitions


def _similarities_with(
    guide: LoadedGuide, texts: Sequence[str], device: torch.device
) -> Callable[[Tensor], Tensor]:
    """Images (., 3, s, s) -> their similarities (., p) with the texts."""
    features = guide.module.encode_text(list(texts)).to(device)

    def similarities(images: Tensor) -> Tensor:
        return guide.module.encode_image(fit_images(images, guide.module.image_size)) @ features.T

    return similarities


def _batches(images: Iterator[Tensor], batch: int) -> Iterator[Tensor]:
    """Images (3, s, s) as batches (up to `batch`, 3, s, s)."""
    held: list[Tensor] = []
    for image in images:
        held.append(image)
        if len(held) == batch:
            yield torch.stack(held)
            held = []
    if held:
        yield torch.stack(held)
