"""What travels between the nodes: models, tokens and losses.

Axes: b images, n tokens, d token size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from ...tokenopt_core.optimize.state import RunState
from ...tokenopt_core.tokenizers.spec import TokenizerSpec
from .compat import ModelPatcher, io

TokenizerSocket = io.Custom("TOKENOPT_TOKENIZER")
GuideSocket = io.Custom("TOKENOPT_GUIDE")
TokensSocket = io.Custom("TOKENOPT_TOKENS")
LossSocket = io.Custom("TOKENOPT_LOSS")


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


class LoadedTokenizer(LoadedModel):
    """A `tokenopt_core` Tokenizer; its `spec` says sizes."""

    @property
    def spec(self) -> TokenizerSpec:
        return self.module.spec

    def check_decodable(self) -> None:
        """Raises ValueError if decoding needs more than tokens."""
        if self.spec.text_length:
            raise ValueError(
                f"tokenizer {self.name!r} decodes with text features, which no node gives yet; "
                "choose one whose name does not start with 'tatitok'."
            )


class LoadedGuide(LoadedModel):
    """A `tokenopt_core` Guide."""


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

    def check_tokenizer(self, tokenizer: LoadedTokenizer) -> None:
        """Raises ValueError if the tokens belong to another tokenizer."""
        if self.tokenizer != tokenizer.name:
            raise ValueError(
                f"tokens were made with the tokenizer {self.tokenizer!r}, but the connected one is "
                f"{tokenizer.name!r}; connect the same Load TiTok node to both."
            )

    def __len__(self) -> int:
        return self.values.shape[0]
