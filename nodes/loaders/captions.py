"""Captions for the tokenizers that decode with one, TA-TiTok (arXiv 2501.07730, section 3.1).

Axes: t text tokens, e text size.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import lru_cache

import torch

from ...tokenopt_core.checks import writable
from ...tokenopt_core.guides.files import CAPTION_ENCODER, CAPTION_SHAPE
from ..host.models import gradient_scope
from ..host.sockets import Caption, LoadedCaptionEncoder, LoadedTokenizer
from .menu import CAPTION_ENCODERS, caption_encoder_named, fingerprint

log = logging.getLogger(__name__)

_told: set[str] = set()  # tokenizers of which the log says that they have no caption


def read_caption(encoder: LoadedCaptionEncoder, text: str) -> Caption:
    """The caption that a text is, as this encoder reads it."""
    with gradient_scope(encoder), torch.no_grad():
        guidance = encoder.module.encode_text([text]).guidance.float().cpu().clone()
    return Caption(text, guidance, encoder.name)


def captioned(tokenizer: LoadedTokenizer, caption: Caption | None) -> LoadedTokenizer:
    """The tokenizer as all may decode with it: a text-aware one with this caption, or else with the
    empty one, which the log says once.

    Raises:
        ValueError: the tokenizer takes no caption, or one of another size.
        DownloadError: there is no caption, and no encoder to make the empty one.
    """
    spec = tokenizer.spec
    if spec.text_length is None:
        if caption is None:
            return tokenizer
        raise ValueError(
            f"caption is connected, but the tokenizer {tokenizer.name!r} decodes without one; "
            "disconnect it, or choose a tokenizer whose name starts with 'tatitok'."
        )
    wanted = (spec.text_length, spec.text_size)
    found, of = CAPTION_SHAPE, CAPTION_ENCODER
    if caption is not None:
        found, of = tuple(caption.guidance.shape[1:]), caption.encoder
    if found != wanted:
        what = "caption is missing, and the empty one" if caption is None else "caption"
        raise ValueError(
            f"{what} of {of!r} has {found[0]} x {found[1]} numbers, but the tokenizer "
            f"{tokenizer.name!r} decodes with {wanted[0]} x {wanted[1]}; connect a Caption of the "
            "encoder that it was trained with."
        )
    return replace(tokenizer, caption=caption or _no_caption(tokenizer.name))


def _no_caption(name: str) -> Caption:
    """The empty caption, for the tokenizer of this name."""
    caption = _empty_caption(fingerprint(CAPTION_ENCODERS.place(CAPTION_ENCODER)))
    if name not in _told:
        _told.add(name)
        log.warning(
            "TokenOpt: %s decodes with a caption, and none is connected: the empty one is used; "
            "connect Caption to say what the image shows.",
            writable(name),
        )
    return caption


@lru_cache(maxsize=1)
def _empty_caption(files: str) -> Caption:
    """Of the released encoder, which is not kept for it; read anew when its `files` are others."""
    return read_caption(caption_encoder_named(CAPTION_ENCODER), "")
