"""Attributes in small safetensors files: two tensors, and all else as JSON in the metadata.

Metadata: `format` = "tokenopt-attribute", `version`, `details`. Tensors: `difference` (n, d) and
`shares` (n,), both float32.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..files.small import read_tensors, write_tensors
from ..tokenizers import Tokenizer
from .attributes import Attribute, tokenizer_tag

FORMAT = "tokenopt-attribute"
VERSION = "1"
MOST_BYTES = 4 * 2**20  # the largest known tokenizer needs 0.3 MB
_DETAILS = ("positions", "counts", "names", "tokenizer", "tag", "unit_length")
_LONGEST_NAME = 200


def save_attribute(path: Path, attribute: Attribute) -> None:
    """Write an attribute to `path`: the whole file or, on an error, none."""
    details = json.dumps({name: getattr(attribute, name) for name in _DETAILS})
    metadata = {"format": FORMAT, "version": VERSION, "details": details}
    tensors = {"difference": attribute.difference, "shares": attribute.shares}
    write_tensors(path, tensors, metadata)


def load_attribute(path: Path, tokenizer: Tokenizer, name: str) -> Attribute:
    """The attribute in a file, for a tokenizer that must be the one that it was made with.

    Args:
        name: of the tokenizer; the attribute then bears it.

    Raises:
        ValueError: damaged, no file of an attribute, or of another tokenizer.
    """
    metadata, tensors = read_tensors(path, MOST_BYTES)
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"file {path.name!r} holds no attribute, expected one written by Save Attribute; "
            "choose another file."
        )
    if metadata.get("version") != VERSION:
        raise ValueError(
            f"file {path.name!r} has version {metadata.get('version')!r}, expected {VERSION!r}; it "
            "was probably written by a newer TokenOpt: update the pack."
        )
    try:
        found = _attribute(tensors, json.loads(metadata["details"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"file {path.name!r} holds a damaged attribute; save it again with Save Attribute."
        ) from error
    if found.tag != tokenizer_tag(tokenizer) or found.difference.shape != _shape(tokenizer):
        raise ValueError(_other_tokenizer(path, found.tokenizer, name))
    return replace(found, tokenizer=name, unit_length=tokenizer.spec.l2_normalized)


def _shape(tokenizer: Tokenizer) -> tuple[int, int]:
    return tokenizer.spec.num_tokens, tokenizer.spec.token_size


def _attribute(tensors: dict[str, Tensor], details: dict) -> Attribute:
    """What a file says, checked; raises ValueError, KeyError or TypeError if it is not sound."""
    found = Attribute(
        **{name: tensors[name].clone() for name in ("difference", "shares")},
        **{name: tuple(details[name]) for name in ("positions", "counts", "names")},
        **{name: details[name] for name in ("tokenizer", "tag", "unit_length")},
    )
    difference, shares, positions = found.difference, found.shares, found.positions
    texts = (*found.names, found.tokenizer, found.tag)
    sound = (
        difference.dtype == shares.dtype == torch.float32
        and difference.ndim == 2
        and shares.shape == difference.shape[:1]
        and bool(difference.isfinite().all() and shares.isfinite().all())
        and len(found.counts) == len(found.names) == 2
        and all(type(number) is int for number in (*positions, *found.counts))
        and min(found.counts) > 0
        and list(positions) == sorted(set(positions) & set(range(len(shares))))
        and len(positions) > 0
        and all(isinstance(text, str) and len(text) <= _LONGEST_NAME for text in texts)
    )
    if not sound:
        raise ValueError("not sound")
    return found


def _other_tokenizer(path: Path, made_with: str, name: str) -> str:
    if made_with == name:
        return (
            f"file {path.name!r} has an attribute of another tokenizer of the name {name!r}: its "
            "weights have been replaced since; make the attribute anew."
        )
    return (
        f"file {path.name!r} has an attribute of {made_with[:60]!r}, but the connected tokenizer "
        f"is {name!r}; choose the former in Load TiTok."
    )
