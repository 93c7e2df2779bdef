"""Cache on disk of the embeddings that a guide gave for images.

An image is known by its file's content, so that renamed and copied files are found again and
replaced ones are not. Each guide has a file of its own, named by what decides an embedding: its
name, weights and the preprocessing. A lost or damaged file costs only the time to make it anew.

Axes: i images, e embedding size.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import time
import uuid
import weakref
from pathlib import Path

import torch
from torch import Tensor

from ..checks import writable
from .guide import Guide

PREPROCESSING = 1  # how a file becomes what a guide sees; a new number makes older ones unknown
MOST_IMAGES = 20_000  # of one guide; 40 MiB with 512 numbers each
MOST_FILES = 8  # guides
_KEY_BYTES = 32
_PARTIAL, _STALE_SECONDS = ".partial", 86_400

log = logging.getLogger(__name__)
_fingerprints: weakref.WeakKeyDictionary[Guide, str] = weakref.WeakKeyDictionary()


def content_key(content: bytes) -> bytes:
    """What an image is known by: the SHA-256 of its file's bytes."""
    return hashlib.sha256(content).digest()


class EmbeddingCache:
    """The embeddings of one guide; as a context manager it is written at the end, also after an
    error or a cancel.

    Args:
        folder: for this cache alone; made when there is something to keep.
        guide: what it embeds with.
    """

    def __init__(self, folder: Path, guide: Guide):
        self.path = folder / f"{_identity(guide)}.safetensors"
        self._known = _read(self.path)
        self._used: dict[bytes, Tensor] = {}  # in this run, the latest last
        self._changed = False

    def get(self, key: bytes) -> Tensor | None:
        """The embedding (e,) of the image with this `content_key`, if it is known."""
        embedding = self._used.get(key, self._known.get(key))
        if embedding is not None:
            self._used.setdefault(key, embedding)
        return embedding

    def put(self, key: bytes, embedding: Tensor) -> None:
        """Remembers the unit-length embedding (e,) of an image."""
        self._used[key] = embedding.detach().float().cpu().clone()
        self._changed = True

    def save(self) -> None:
        """Writes what is new, together with what others have written since.

        The file appears whole or not at all. Where it cannot be written this is logged, no error.
        """
        if not self._changed:
            return
        kept = {**self._known, **_read(self.path)}
        kept = {key: value for key, value in kept.items() if key not in self._used} | self._used
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _write(self.path, dict(list(kept.items())[-MOST_IMAGES:]))
            _tidy(self.path.parent)
            self._changed = False
        except OSError as error:
            place = writable(str(self.path.parent))
            log.warning("Embeddings are not kept in %s: %s", place, writable(str(error)))

    def __enter__(self) -> EmbeddingCache:
        return self

    def __exit__(self, *exception: object) -> None:
        self.save()


def _identity(guide: Guide) -> str:
    """A name for everything that decides what an image's embedding is.

    Weights alone do not: released models exist that share them and differ in an activation.
    """
    if guide not in _fingerprints:
        _fingerprints[guide] = _weights(guide)
    sizes = [guide.image_size, guide.mean, guide.std]
    facts = json.dumps([PREPROCESSING, guide.name, sizes, _fingerprints[guide]])
    return hashlib.sha256(facts.encode()).hexdigest()[:32]


def _weights(guide: Guide) -> str:
    """SHA-256 of all weights of the image tower, as they are in memory."""
    digest = hashlib.sha256()
    for name, tensor in guide.visual.state_dict().items():
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _read(path: Path) -> dict[bytes, Tensor]:
    """Embeddings by key, least recently used first; none of a file that is not as it should be."""
    from safetensors.torch import load

    try:
        tensors = load(path.read_bytes())  # no open map: it may be replaced
        keys, embeddings = tensors["keys"], tensors["embeddings"]
        right = (
            keys.dtype == torch.uint8
            and embeddings.dtype == torch.float32
            and keys.shape == (len(embeddings), _KEY_BYTES)
            and embeddings.ndim == 2
            and torch.equal(tensors["check"], _check_sum(keys, embeddings))
        )
        if not right:
            raise ValueError("it is not what was written")
    except FileNotFoundError:
        return {}
    except MemoryError:
        raise
    except Exception as error:  # damage shows in many ways
        log.warning("The embeddings in %s are ignored: %s", path.name, error)
        return {}
    return {bytes(key): value for key, value in zip(keys.numpy(), embeddings.unbind(), strict=True)}


def _write(path: Path, entries: dict[bytes, Tensor]) -> None:
    from safetensors.torch import save

    keys = torch.frombuffer(bytearray(b"".join(entries)), dtype=torch.uint8).view(-1, _KEY_BYTES)
    embeddings = torch.stack(list(entries.values()))
    check = _check_sum(keys, embeddings)
    tensors = {"keys": keys, "embeddings": embeddings, "check": check}
    partial = path.with_name(f"{uuid.uuid4().hex}{_PARTIAL}")
    try:
        partial.write_bytes(save(tensors))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _check_sum(keys: Tensor, embeddings: Tensor) -> Tensor:
    """SHA-256 (32,) uint8 of both: a single wrong bit on the disk would change a choice unseen."""
    digest = hashlib.sha256(keys.numpy())
    digest.update(embeddings.contiguous().numpy())
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)


def _tidy(folder: Path) -> None:
    """Removes the files of the guides used longest ago, and what killed processes left."""
    files = sorted(folder.glob("*.safetensors"), key=_age)
    stale = [file for file in folder.glob(f"*{_PARTIAL}") if _age(file) > _STALE_SECONDS]
    for file in files[MOST_FILES:] + stale:
        with contextlib.suppress(OSError):  # another process was quicker
            file.unlink()


def _age(file: Path) -> float:
    """Seconds since it was written; much for one that has just gone."""
    try:
        return time.time() - file.stat().st_mtime
    except OSError:
        return float("inf")
