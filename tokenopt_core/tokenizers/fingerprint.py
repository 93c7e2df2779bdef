"""Fingerprint of a tokenizer: codes mean something only to the tokenizer that made them."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from ..checks import shortened
from .base import Tokenizer

_ENCODER = ("encoder.", "latent_tokens")
_SAMPLE = 4096  # numbers of each tensor that count
_FACTS = (
    "layout",
    "kind",
    "image_size",
    "num_tokens",
    "token_size",
    "codebook_size",
    "l2_normalized",
    "legacy",
)
_LONGEST_NAME = 60


@torch.no_grad()
def fingerprint(tokenizer: Tokenizer) -> bytes:
    """32 bytes that are equal for tokenizers which make the same image of the same tokens.

    They come from the codebook's numbers and from the signs of the decoder's weights. Signs stay
    when weights are loaded as float16 or bfloat16; a name would stay when the file behind it is
    replaced, so it does not count.
    """
    facts = [getattr(tokenizer.spec, name) for name in _FACTS]
    digest = hashlib.sha256(repr(facts).encode())
    for name, tensor in sorted(tokenizer.state_dict().items()):
        if not name.startswith(_ENCODER):
            digest.update(name.encode())
            digest.update(_content(tensor, exact=name.startswith("quantize.")))
    return digest.digest()


def other_tokenizer(subject: str, made_with: str, name: str) -> str:
    """The message for a file or text that has the fingerprint of another tokenizer.

    Args:
        subject: the file or text.
        made_with: name of the tokenizer that it was made with, as it says.
        name: of the connected tokenizer.
    """
    if made_with == name:
        return (
            f"{subject} was made with another tokenizer of the name {name!r}: its weights have "
            "been replaced since; get the former ones back, or make it anew."
        )
    return (
        f"{subject} was made with the tokenizer {shortened(made_with, _LONGEST_NAME)!r}, but the "
        f"connected one is {name!r}; choose the former in Load TiTok."
    )


def _content(tensor: Tensor, *, exact: bool) -> bytes:
    if exact:
        return tensor.float().cpu().contiguous().numpy().astype("<f4").tobytes()
    sample = tensor.flatten()[:_SAMPLE]
    return sample.float().signbit().cpu().numpy().tobytes()
