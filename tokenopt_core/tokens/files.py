"""Files of tokens and of attributes: small safetensors files, exactly as they are.

Metadata of both: `format` and `version`.

Tokens: `tokenizer` (its name, for people) and `fingerprint` (what counts). One tensor, whose name
says what it holds: `codes` (b, n) int32 where codes say it all, otherwise `tokens` (b, n, d)
float32 that are decoded as they are, or `features` (b, n, d) float32 that are quantized first.

Attributes: `details`, JSON of what `Attribute` has beside its tensors. Two float32 tensors,
`difference` (n, d) and `shares` (n,).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..files.small import MOST_BYTES, read_tensors, write_tensors
from ..tokenizers import Tokenizer
from ..tokenizers.fingerprint import fingerprint, other_tokenizer
from .attributes import Attribute, tokenizer_tag


class FileFormat(NamedTuple):
    """What a file says of itself, what it holds, the node that writes it, and its largest size."""

    format: str
    content: str
    node: str
    most_bytes: int = MOST_BYTES


TOKENS = FileFormat("tokenopt-tokens", "tokens", "Save Tokens")
# The largest known tokenizer needs 0.3 MB for an attribute.
ATTRIBUTE = FileFormat("tokenopt-attribute", "attribute", "Save Attribute", 4 * 2**20)
VERSION = "1"
SUFFIX = ".tokens.safetensors"

_DETAILS = ("positions", "counts", "names", "tokenizer", "tag", "unit_length")
_LONGEST_NAME = 200


def save_tokens(
    path: Path, tokenizer: Tokenizer, tokens: Tensor, quantized: bool, name: str
) -> None:
    """Write tokens (b, n, d) to `path`: the whole file or, on an error, none.

    Args:
        quantized: tokens are decoded as they are; otherwise they are features.
        name: of the tokenizer, kept in the file for messages.
    """
    tensors = _content(tokenizer, tokens, quantized)
    _write(path, TOKENS, tensors, tokenizer=name, fingerprint=fingerprint(tokenizer).hex())


def load_tokens(path: Path, tokenizer: Tokenizer, name: str) -> tuple[Tensor, bool]:
    """Tokens (b, n, d) float32 on the CPU, and whether they are quantized.

    Args:
        name: of the tokenizer, for messages.

    Raises:
        ValueError: damaged, no file of tokens, or tokens of another tokenizer.
    """
    metadata, tensors = _read(path, TOKENS)
    if metadata.get("fingerprint") != fingerprint(tokenizer).hex():
        made_with = str(metadata.get("tokenizer"))
        raise ValueError(other_tokenizer(f"file {path.name!r}", made_with, name))
    if len(tensors) != 1:
        raise ValueError(_of_another_kind(path, TOKENS))
    ((kind, tensor),) = tensors.items()
    _check_tokens(path, kind, tensor, tokenizer)
    if kind == "codes":
        return tokenizer.lookup(tensor.long().to(tokenizer.weights_device)).float().cpu(), True
    return tensor, kind == "tokens"


def save_attribute(path: Path, attribute: Attribute) -> None:
    """Write an attribute to `path`: the whole file or, on an error, none."""
    details = json.dumps({name: getattr(attribute, name) for name in _DETAILS})
    tensors = {"difference": attribute.difference, "shares": attribute.shares}
    _write(path, ATTRIBUTE, tensors, details=details)


def load_attribute(path: Path, tokenizer: Tokenizer, name: str) -> Attribute:
    """The attribute in a file, for a tokenizer that must be the one that it was made with.

    Args:
        name: of the tokenizer; the attribute then bears it.

    Raises:
        ValueError: damaged, no file of an attribute, or of another tokenizer.
    """
    metadata, tensors = _read(path, ATTRIBUTE)
    try:
        attribute = _attribute(tensors, json.loads(metadata["details"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"file {path.name!r} holds a damaged attribute; save it again with Save Attribute."
        ) from error
    spec = tokenizer.spec
    fits = attribute.difference.shape == (spec.num_tokens, spec.token_size)
    if attribute.tag != tokenizer_tag(tokenizer) or not fits:
        raise ValueError(other_tokenizer(f"file {path.name!r}", attribute.tokenizer, name))
    return replace(attribute, tokenizer=name, unit_length=spec.l2_normalized)


def _write(path: Path, form: FileFormat, tensors: Mapping[str, Tensor], **metadata: str) -> None:
    write_tensors(path, tensors, {"format": form.format, "version": VERSION, **metadata})


def _read(path: Path, form: FileFormat) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a file; raises ValueError if it is of another format or version."""
    metadata, tensors = read_tensors(path, form.most_bytes)
    if metadata.get("format") != form.format:
        raise ValueError(_of_another_kind(path, form))
    if metadata.get("version") != VERSION:
        raise ValueError(
            f"file {path.name!r} has version {metadata.get('version')!r}, expected {VERSION!r}; it "
            "was probably written by a newer TokenOpt: update the pack."
        )
    return metadata, tensors


def _of_another_kind(path: Path, form: FileFormat) -> str:
    return (
        f"file {path.name!r} holds no {form.content}, expected one written by {form.node}; choose "
        "another file."
    )


@torch.no_grad()
def _content(tokenizer: Tokenizer, tokens: Tensor, quantized: bool) -> dict[str, Tensor]:
    """The tensor to write: codes if they give back the same tokens to the last bit."""
    if quantized and tokenizer.spec.codebook_size is not None:
        codes = tokenizer.quantize(tokens.to(tokenizer.weights_device)).codes
        if torch.equal(tokenizer.lookup(codes).cpu(), tokens.cpu()):
            return {"codes": codes.int().cpu()}
    return {"tokens" if quantized else "features": tokens.float().cpu().clone()}


def _check_tokens(path: Path, kind: str, tensor: Tensor, tokenizer: Tokenizer) -> None:
    spec = tokenizer.spec
    if kind == "codes" and spec.codebook_size is not None:
        sound = tensor.shape[1:] == (spec.num_tokens,) and tensor.dtype == torch.int32
        sound = sound and bool(((tensor >= 0) & (tensor < spec.codebook_size)).all())
    else:
        sound = tensor.shape[1:] == (spec.num_tokens, spec.token_size)
        sound = sound and tensor.dtype == torch.float32 and bool(tensor.isfinite().all())
        sound = sound and kind in ("tokens", "features")
    if not sound or not len(tensor):
        raise ValueError(
            f"file {path.name!r} holds {kind} of shape {tuple(tensor.shape)} that do not fit, "
            f"expected {spec.num_tokens} codes or tokens per image, all in range; save them again."
        )


def _attribute(tensors: dict[str, Tensor], details: dict) -> Attribute:
    """What a file says, checked; raises ValueError, KeyError or TypeError if it is not sound."""
    attribute = Attribute(
        **{name: tensors[name].clone() for name in ("difference", "shares")},
        **{name: tuple(details[name]) for name in ("positions", "counts", "names")},
        **{name: details[name] for name in ("tokenizer", "tag", "unit_length")},
    )
    difference, shares, positions = attribute.difference, attribute.shares, attribute.positions
    texts = (*attribute.names, attribute.tokenizer, attribute.tag)
    sound = (
        difference.dtype == shares.dtype == torch.float32
        and difference.ndim == 2
        and shares.shape == difference.shape[:1]
        and bool(difference.isfinite().all() and shares.isfinite().all())
        and len(attribute.counts) == len(attribute.names) == 2
        and all(type(number) is int for number in (*positions, *attribute.counts))
        and min(attribute.counts) > 0
        and list(positions) == sorted(set(positions) & set(range(len(shares))))
        and len(positions) > 0
        and all(isinstance(text, str) and len(text) <= _LONGEST_NAME for text in texts)
    )
    if not sound:
        raise ValueError("not sound")
    return attribute
