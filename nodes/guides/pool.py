"""The images that Seed Retrieval chooses from, as a guide sees them.

Axes: i images, e embedding size, h and w pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...tokenopt_core.guides.cache import EmbeddingCache, content_key
from ...tokenopt_core.guides.retrieval import CHUNK, embed_images
from ..host.compat import folder_paths
from ..host.image_folder import BrokenImage, decode_image, list_images, none_readable, read_image
from ..host.models import activation_bytes, gradient_scope
from ..host.progress import BatchProgress
from ..host.sockets import LoadedGuide


@dataclass(frozen=True)
class Pool:
    """Images to choose from.

    Args:
        names: of each image: its file, or its number in the batch from 0.
        embeddings: (i, e), unit length, on the CPU.
        image: gives the image (3, h, w) of an index.
        notes: sentences for the user.
    """

    names: list[str]
    embeddings: Tensor
    image: Callable[[int], Tensor]
    notes: tuple[str, ...] = ()


def cache_folder() -> Path:
    """Where embeddings are kept: in ComfyUI's user directory, out of reach of its HTTP routes."""
    return Path(folder_paths.get_system_user_directory("tokenopt")) / "embeddings"


def pool_of_batch(guide: LoadedGuide, images: Tensor) -> Pool:
    """The images (i, 3, h, w) of a batch; those chosen keep their size."""
    memory = activation_bytes(guide.module.image_size, min(CHUNK, len(images)), gradients=False)
    with gradient_scope(guide, memory=memory):
        embeddings = embed_images(guide.module, images, progress=BatchProgress(len(images)))
    return Pool([str(i) for i in range(len(images))], embeddings, lambda index: images[index])


def pool_of_folder(guide: LoadedGuide, folder: str, size: int) -> Pool:
    """The readable images of a folder of the input directory, of which chosen ones are given as
    their central square of `size` pixels.

    Raises:
        ValueError: no such folder, or no image in it that can be read.
    """
    paths = list_images(folder)
    memory = activation_bytes(guide.module.image_size, CHUNK, gradients=False)
    skipped: list[str] = []
    with gradient_scope(guide, memory=memory), EmbeddingCache(cache_folder(), guide.module) as kept:
        embedded = dict(_embedded(guide.module, paths, kept, skipped))
    if not embedded:
        raise none_readable(len(paths))
    files = [path for path in paths if path in embedded]

    embeddings = torch.stack([embedded[path] for path in files])
    names = [path.name for path in files]
    return Pool(names, embeddings, lambda index: read_image(files[index], size), _about(skipped))


def _embedded(
    guide: torch.nn.Module, paths: Sequence[Path], kept: EmbeddingCache, skipped: list[str]
) -> Iterator[tuple[Path, Tensor]]:
    """Files with their embeddings, in no order; `skipped` gets a sentence about each broken one."""
    show = BatchProgress(len(paths))
    waiting: list[tuple[Path, bytes, Tensor]] = []
    for done, path in enumerate(paths, 1):
        try:
            key, embedding, image = _known(path, kept, guide.image_size)
        except BrokenImage as broken:
            skipped.append(str(broken))
        else:
            if embedding is not None:
                yield path, embedding
            else:
                waiting.append((path, key, image))
        if waiting and (len(waiting) == CHUNK or done == len(paths)):
            yield from _embed(guide, waiting, kept)
            waiting.clear()
        show(done, len(paths))


def _embed(
    guide: torch.nn.Module, waiting: Sequence[tuple[Path, bytes, Tensor]], kept: EmbeddingCache
) -> Iterator[tuple[Path, Tensor]]:
    """Files with new embeddings, which the cache is given too."""
    new = embed_images(guide, torch.stack([image for _, _, image in waiting]))
    for (path, key, _), embedding in zip(waiting, new, strict=True):
        kept.put(key, embedding)
        yield path, embedding


def _known(
    path: Path, kept: EmbeddingCache, size: int
) -> tuple[bytes, Tensor | None, Tensor | None]:
    """A file's key with its embedding if it is known, otherwise with its image (3, size, size)."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BrokenImage(f"{path.name} cannot be read ({error.strerror}).") from error
    key = content_key(content)
    embedding = kept.get(key)
    return key, embedding, None if embedding is not None else decode_image(content, path.name, size)


def _about(skipped: Sequence[str], most: int = 5) -> tuple[str, ...]:
    """A note about broken images: the first few, and how many in all."""
    if not skipped:
        return ()
    more = len(skipped) - most
    rest = [f"and {more} more."] if more > 0 else []
    return (f"skipped {len(skipped)} broken: " + " ".join([*skipped[:most], *rest]),)
