"""Tokens in small safetensors files, exactly as they are.

Metadata: `format` = "tokenopt-tokens", `version`, `tokenizer` (its name, for people) and
`fingerprint` (what counts). One tensor, whose name says what it holds: `codes` (b, n) int32 where
codes say it all, else `tokens` (b, n, d) float32 that are decoded as they are, or `features`
(b, n, d) float32 that are quantized first.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from torch import Tensor

from .identity import fingerprint
from .tokenizers import Tokenizer

FORMAT = "tokenopt-tokens"
VERSION = "1"
SUFFIX = ".tokens.safetensors"
MOST_BYTES = 64 * 2**20  # 40,000 images of 32 tokens; no honest file of this kind is larger


def save_tokens(
    path: Path, tokenizer: Tokenizer, tokens: Tensor, quantized: bool, name: str
) -> None:
    """Write tokens (b, n, d) to `path`: the whole file or, on an error, none.

    Args:
        quantized: tokens are decoded as they are; otherwise they are features.
        name: of the tokenizer, kept in the file for messages.
    """
    from safetensors.torch import save

    content = _content(tokenizer, tokens, quantized)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "tokenizer": name,
        "fingerprint": fingerprint(tokenizer).hex(),
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(save(content, metadata))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load_tokens(path: Path, tokenizer: Tokenizer, name: str) -> tuple[Tensor, bool]:
    """Tokens (b, n, d) float32 on the CPU, and whether they are quantized.

    Args:
        name: of the tokenizer, for messages.

    Raises:
        ValueError: damaged, no file of tokens, or tokens of another tokenizer.
    """
    metadata, tensors = _read(path)
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
        device = next(tokenizer.parameters()).device
        return tokenizer.lookup(tensor.long().to(device)).float().cpu(), True
    return tensor, kind == "tokens"


@torch.no_grad()
def _content(tokenizer: Tokenizer, tokens: Tensor, quantized: bool) -> dict[str, Tensor]:
    """The tensor to write: codes if they give back the same tokens to the last bit."""
    if quantized and tokenizer.spec.codebook_size is not None:
        codes = tokenizer.quantize(tokens.to(next(tokenizer.parameters()).device)).codes
        if torch.equal(tokenizer.lookup(codes).cpu(), tokens.cpu()):
            return {"codes": codes.int().cpu()}
    return {"tokens" if quantized else "features": tokens.float().cpu().clone()}


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a file, which is read whole so that it may change afterwards."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(
            f"file {path.name!r} has {size / 2**20:.0f} MiB, expected tokens, at most "
            f"{MOST_BYTES // 2**20} MiB; choose a file written by Save Tokens."
        )
    content = path.read_bytes()
    try:
        tensors = load(content)  # checks the header before it believes it
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"file {path.name!r} is damaged or no safetensors file; save the tokens again, or copy "
            "the file again."
        ) from error
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return header.get("__metadata__") or {}, tensors


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
