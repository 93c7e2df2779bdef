"""The sockets of the pack and what they carry: models, captions, tokens, options and fits.

Axes: b images, n tokens, d token size, t text tokens, e text size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...tokenopt_core.images.fit import BLACK, NEARLY_BLACK, Fit, without_nearly_black
from ...tokenopt_core.optimize.state import RunState
from ...tokenopt_core.tokenizers.spec import TokenizerSpec
from ...tokenopt_core.tokens.positions import parse_positions
from .compat import ModelPatcher, io

TokenizerSocket = io.Custom("TOKENOPT_TOKENIZER")
GuideSocket = io.Custom("TOKENOPT_GUIDE")
CaptionEncoderSocket = io.Custom("TOKENOPT_CAPTION_ENCODER")
CaptionSocket = io.Custom("TOKENOPT_CAPTION")
TokensSocket = io.Custom("TOKENOPT_TOKENS")
LossSocket = io.Custom("TOKENOPT_LOSS")
AttributeSocket = io.Custom("TOKENOPT_ATTRIBUTE")
OptionsSocket = io.Custom("TOKENOPT_OPTIONS")
FitSocket = io.Custom("TOKENOPT_FIT")

FRAMES = 24  # of a trajectory, where no options say otherwise
HALF = 0.5  # a mask that is lighter everywhere is meant to be white


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model of `tokenopt_core` in the care of ComfyUI's memory management.

    Args:
        name: as chosen in the load node.
        patcher: knows where the module is and where it belongs.
        dtypes: type of every parameter and buffer as loaded, to undo what others do to them.
    """

    name: str
    patcher: ModelPatcher = field(repr=False)
    dtypes: Mapping[str, torch.dtype] = field(repr=False)

    @property
    def module(self) -> torch.nn.Module:
        return self.patcher.model


class LoadedGuide(LoadedModel):
    """A `tokenopt_core` Guide."""


class LoadedCaptionEncoder(LoadedModel):
    """A `tokenopt_core` TextEncoder."""


@dataclass(frozen=True, eq=False)
class Caption:
    """A caption as a text-aware tokenizer reads it.

    Args:
        text: as it was written.
        guidance: (1, t, e) float32 on the CPU, features of its words; never changed in place.
        encoder: name of the caption encoder that made them.
    """

    text: str
    guidance: Tensor = field(repr=False)
    encoder: str


@dataclass(frozen=True, eq=False)
class LoadedTokenizer(LoadedModel):
    """A `tokenopt_core` Tokenizer; its `spec` says sizes.

    Args:
        caption: what it decodes with, see `loaders.captions`; None before, and where it needs none.
    """

    caption: Caption | None = None

    @property
    def module(self) -> torch.nn.Module:
        module = self.patcher.model
        return module.captioned(self.caption.guidance) if self.caption else module

    @property
    def spec(self) -> TokenizerSpec:
        return self.patcher.model.spec


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens of a batch of images.

    Args:
        values: (b, n, d) float32 on the CPU; never changed in place.
        quantized: False: features, which a decoder must quantize first. True: decoded as they are.
        tokenizer: name of the tokenizer they belong to.
        state: of the run that made them, on the CPU, to go on from there; None of other origins.
    """

    values: torch.Tensor
    quantized: bool
    tokenizer: str
    state: RunState | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        b, n, d = self.values.shape
        state = "quantized" if self.quantized else "not quantized"
        return f"Tokens({b} x {n} x {d} of {self.tokenizer}, {state})"

    def __len__(self) -> int:
        return self.values.shape[0]


@dataclass(frozen=True)
class Options:
    """What the options node adds to a run; as it stands, what a run without that node does.

    Args:
        settings: fields of `OptimizeConfig`.
        locked: positions that may not move, as text; "" for none.
        warm_restart: go on with the state that the tokens carry.
        trajectory_frames: how many images of the run are kept, 0 for none.
    """

    settings: tuple[tuple[str, Any], ...] = ()
    locked: str = ""
    warm_restart: bool = False
    trajectory_frames: int = FRAMES

    def config_fields(self, num_tokens: int) -> dict[str, Any]:
        """Fields of `OptimizeConfig`, for a tokenizer with so many tokens."""
        locked = parse_positions(self.locked, num_tokens, "locked") if self.locked.strip() else ()
        return {**dict(self.settings), "locked": tuple(locked)}


@dataclass(frozen=True, eq=False)
class FittedImages:
    """What Fit Image did with a batch of images.

    Args:
        fit: which part of the images the squares show.
        mask: (1 or b, 1, h, w), what may change; None is everything.
    """

    fit: Fit
    mask: Tensor | None = field(default=None, repr=False)

    @property
    def remarks(self) -> list[str]:
        """A sentence for the user if a mask is dark somewhere, but black nowhere."""
        if self.mask is None:
            return []
        lowest = self.mask.amin((1, 2, 3))
        grey = self.mask[(lowest > BLACK) & (lowest < HALF)]
        if not len(grey):
            return []
        mask = grey[grey.amin((1, 2, 3)).argmax()][None]
        darkest = float(mask.amin())
        nearly = not without_nearly_black(mask).all()
        black = f"what is {NEARLY_BLACK:g} or less counts as black"
        done = black if nearly else "so all of it may change"
        return [
            f"mask is nowhere 0 (black): its darkest value is {darkest:.2g}, {done}; make it black "
            "where nothing may change"
        ]
