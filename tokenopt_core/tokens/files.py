"""Tokens in small safetensors files, exactly as they are.

Metadata: `format` = "tokenopt-tokens", `version`, `tokenizer` (its name, for people) and
`fingerprint` (what counts). One tensor, whose name says what it holds: `codes` (b, n) int32 where
codes say it all, else `tokens` (b, n, d) float32 that are decoded as they are, or `features`
(b, n, d) float32 that are quantized first.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..files.small import read_tensors, write_tensors
from ..tokenizers import Tokenizer
from ..tokenizers.identity import fingerprint
from .attributes import Attribute, tokenizer_tag

FORMAT = "tokenopt-tokens"
VERSION = "1"
SUFFIX = ".tokens.safetensors"


def save_tokens(
    path: Path, tokenizer: Tokenizer, tokens: Tensor, quantized: bool, name: str
) -> None:
    """Write tokens (b, n, d) to `path`: the whole file or, on an error, none.

    Args:
        quantized: tokens are decoded as they are; otherwise they are features.
        name: of the tokenizer, kept in the file for messages.
    """
    content = _content(tokenizer, tokens, quantized)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "tokenizer": name,
        "fingerprint": fingerprint(tokenizer).hex(),
    }
    write_tensors(path, content, metadata)


def load_tokens(path: Path, tokenizer: Tokenizer, name: str) -> tuple[Tensor, bool]:
    """Tokens (b, n, d) float32 on the CPU, and whether they are quantized.

    Args:
        name: of the tokenizer, for messages.

    Raises:
        ValueError: damaged, no file of tokens, or tokens of another tokenizer.
    """
    metadata, tensors = read_tensors(path)
    if metadata.get("format") != FORMAT or len(tensors) != 1:
        raise ValueError(
            f"file {path.name!r} holds no tokens, expected one written by Save Tokens; choose "
            "another file."
        )
    if metadata.get("version") != VERSION:
        raise ValueError(
            f"file {path.name!r} has version {metadata.get('version')!r}, expected {VERSION!r}; it "
            "was probably written by a newer TokenOpt: update the pack."
        )
    if metadata.get("fingerprint") != fingerprint(tokenizer).hex():
        raise ValueError(_other_tokenizer(path, str(metadata.get("tokenizer")), name))
    ((kind, tensor),) = tensors.items()
    _check(path, kind, tensor, tokenizer)
    if kind == "codes":
        device = tokenizer.weights_device
        return tokenizer.lookup(tensor.long().to(device)).float().cpu(), True
    return tensor, kind == "tokens"


@torch.no_grad()
def _content(tokenizer: Tokenizer, tokens: Tensor, quantized: bool) -> dict[str, Tensor]:
    """The tensor to write: codes if they give back the same tokens to the last bit."""
    if quantized and tokenizer.spec.codebook_size is not None:
        codes = tokenizer.quantize(tokens.to(tokenizer.weights_device)).codes
        if torch.equal(tokenizer.lookup(codes).cpu(), tokens.cpu()):
            return {"codes": codes.int().cpu()}
    return {"tokens" if quantized else "features": tokens.float().cpu().clone()}


def _check(path: Path, kind: str, tensor: Tensor, tokenizer: Tokenizer) -> None:
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


def _other_tokenizer(path: Path, made_with: str, name: str) -> str:
    shown = made_with if len(made_with) <= 60 else made_with[:57] + "..."
    if made_with == name:
        return (
            f"file {path.name!r} has tokens of another tokenizer of the name {shown!r}: its file "
            "has been replaced since; get the former one back, or encode the image anew."
        )
    return (
        f"file {path.name!r} has tokens of {shown!r}, but the connected tokenizer is {name!r}; "
        "choose the former in Load TiTok."
    )


ATTRIBUTE_FORMAT = "tokenopt-attribute"

MOST_BYTES = 4 * 2**20  # the largest known tokenizer needs 0.3 MB
_DETAILS = ("positions", "counts", "names", "tokenizer", "tag", "unit_length")
_LONGEST_NAME = 200


def save_attribute(path: Path, attribute: Attribute) -> None:
    """Write an attribute to `path`: the whole file or, on an error, none."""
    details = json.dumps({name: getattr(attribute, name) for name in _DETAILS})
    metadata = {"format": ATTRIBUTE_FORMAT, "version": VERSION, "details": details}
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
    if metadata.get("format") != ATTRIBUTE_FORMAT:
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
        raise ValueError(_attribute_of_another(path, found.tokenizer, name))
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


def _attribute_of_another(path: Path, made_with: str, name: str) -> str:
    if made_with == name:
        return (
            f"file {path.name!r} has an attribute of another tokenizer of the name {name!r}: its "
            "weights have been replaced since; make the attribute anew."
        )
    return (
        f"file {path.name!r} has an attribute of {made_with[:60]!r}, but the connected tokenizer "
        f"is {name!r}; choose the former in Load TiTok."
    )
