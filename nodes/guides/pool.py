"""The pool of Seed Retrieval: candidate images of a batch or a folder, with their embeddings.

Axes: i images, e embedding size, h and w pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...tokenopt_core.guides.embedding_cache import EmbeddingCache, content_key
from ...tokenopt_core.guides.guide import Guide
from ...tokenopt_core.guides.retrieval import CHUNK, embed_images
from ..host.compat import folder_paths
from ..host.image_folder import BrokenImage, decode_image, list_images, none_readable, read_image
from ..host.models import activation_bytes, gradient_scope
from ..host.progress import BatchProgress
from ..host.sockets import LoadedGuide


@dataclass(frozen=True)
class Pool:
    """The candidates: images to choose from.

    Args:
        names: of each candidate: its file, or its number in the batch from 0.
        embeddings: (i, e), unit length, on the CPU.
        image: gives the image (3, h, w) of a candidate by its index.
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
    """A batch of images (i, 3, h, w) as candidates; those chosen keep their size."""
    memory = activation_bytes(guide.module.image_size, min(CHUNK, len(images)), gradients=False)
    with gradient_scope(guide, memory=memory):
        embeddings = embed_images(guide.module, images, progress=BatchProgress(len(images)))
    return Pool([str(i) for i in range(len(images))], embeddings, lambda index: images[index])


def pool_of_folder(guide: LoadedGuide, folder: str, size: int) -> Pool:
    """The readable images of a folder of the input directory as candidates; of those chosen the
    central square of `size` pixels is given.

    Raises:
        ValueError: no such folder, or no image in it that can be read.
    """
    paths = list_images(folder)
    memory = activation_bytes(guide.module.image_size, CHUNK, gradients=False)
    skipped: list[str] = []
    with (
        gradient_scope(guide, memory=memory),
        EmbeddingCache(cache_folder(), guide.module) as cache,
    ):
        by_file = _embed_files(guide.module, paths, cache, skipped)
    if not by_file:
        raise none_readable(len(paths))
    files = [path for path in paths if path in by_file]
    return Pool(
        names=[path.name for path in files],
        embeddings=torch.stack([by_file[path] for path in files]),
        image=lambda index: read_image(files[index], size),
        notes=_skipped_note(skipped),
    )


def _embed_files(
    guide: Guide, paths: Sequence[Path], cache: EmbeddingCache, skipped: list[str]
) -> dict[Path, Tensor]:
    """The embedding of each readable file, out of the cache or new; new ones go into the cache.

    Args:
        skipped: gets a sentence about each broken file.
    """
    embeddings: dict[Path, Tensor] = {}
    unknown: list[tuple[Path, bytes, Tensor]] = []  # files to embed, their keys and images
    progress = BatchProgress(len(paths))
    for done, path in enumerate(paths, 1):
        try:
            content = _content(path)
            key = content_key(content)
            embedding = cache.get(key)
            if embedding is None:
                unknown.append((path, key, decode_image(content, path.name, guide.image_size)))
            else:
                embeddings[path] = embedding
        except BrokenImage as broken:
            skipped.append(str(broken))
        if unknown and (len(unknown) == CHUNK or done == len(paths)):
            embeddings |= _embed_chunk(guide, unknown, cache)
            unknown.clear()
        progress(done, len(paths))
    return embeddings


def _embed_chunk(
    guide: Guide, unknown: Sequence[tuple[Path, bytes, Tensor]], cache: EmbeddingCache
) -> dict[Path, Tensor]:
    """The new embeddings of files, which go into the cache."""
    paths, keys, images = zip(*unknown, strict=True)
    embeddings = embed_images(guide, torch.stack(images))
    for key, embedding in zip(keys, embeddings, strict=True):
        cache.put(key, embedding)
    return dict(zip(paths, embeddings, strict=True))


def _content(path: Path) -> bytes:
    """The bytes of a file; raises BrokenImage if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BrokenImage(f"{path.name} cannot be read ({error.strerror}).") from error


def _skipped_note(skipped: Sequence[str], most: int = 5) -> tuple[str, ...]:
    """A note about broken images: the first few, and how many in all."""
    if not skipped:
        return ()
    more = len(skipped) - most
    rest = [f"and {more} more."] if more > 0 else []
    return (f"skipped {len(skipped)} broken: " + " ".join([*skipped[:most], *rest]),)
