"""Vector quantization with a straight-through gradient (TiTok, arXiv 2406.07550, section 3.1).

Axes: b images, n tokens, d token size, k codebook entries.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..compute.half_precision import autocast
from .base import Quantized, check_tokens
from .spec import TokenizerSpec

NORM_EPS = 1e-12
MOST_DISTANCES = 2**26  # held at once: 256 MiB, 512 images of TiTok-L-32


class QuantizerLoss(NamedTuple):
    """The two training losses of a codebook, scalars: features to codes and codes to features."""

    commitment: Tensor
    codebook: Tensor


class Codebook(nn.Module):
    """The entries (k, d) alone, under the checkpoints' name."""

    def __init__(self, codebook_size: int, token_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codebook_size, token_size)
        nn.init.uniform_(self.embedding.weight, -1 / codebook_size, 1 / codebook_size)


class VectorQuantizer(Codebook):
    """A codebook that quantizes, in float32 with autocast off: otherwise near ties change codes."""

    def __init__(self, spec: TokenizerSpec) -> None:
        super().__init__(spec.codebook_size, spec.token_size)
        self.spec = spec

    def forward(self, features: Tensor) -> Quantized:
        """The entries nearest to features (b, n, d), with straight-through gradients."""
        check_tokens(self.spec, features, "features")
        with autocast(torch.float32, features.device):
            features = self.normalize(features.float())
            with torch.no_grad():
                codebook = self.codebook()
                codes = nearest(features, codebook)
                tokens = F.embedding(codes, codebook)
            # Adds zero, but with the features' gradient: the tokens are the entries to the last
            # bit, as from `lookup`, so that codes alone give the same image again.
            return Quantized(tokens + (features - features.detach()), codes)

    def lookup(self, codes: Tensor) -> Tensor:
        """Tokens (..., d) of codes (...)."""
        with autocast(torch.float32, codes.device):
            return F.embedding(codes, self.codebook())

    def loss(self, features: Tensor, codes: Tensor, commitment_cost: float = 0.25) -> QuantizerLoss:
        """Training losses of features (b, n, d) against the entries that quantization chose."""
        with autocast(torch.float32, features.device):
            features, tokens = self.normalize(features.float()), self.lookup(codes)
            commitment = commitment_cost * F.mse_loss(features, tokens.detach())
            return QuantizerLoss(commitment, F.mse_loss(tokens, features.detach()))

    def codebook(self) -> Tensor:
        """All entries (k, d) as tokens: float32, normalized if the tokenizer does so."""
        return self.normalize(self.embedding.weight.float())

    def normalize(self, vectors: Tensor) -> Tensor:
        """Vectors (..., d) of unit length if the tokenizer's tokens are, otherwise unchanged."""
        return F.normalize(vectors, dim=-1, eps=NORM_EPS) if self.spec.l2_normalized else vectors


class ContinuousTokens(nn.Module):
    """In a VAE's place of the quantizer: features are the tokens and there are no codes."""

    def __init__(self, spec: TokenizerSpec) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, features: Tensor) -> Quantized:
        check_tokens(self.spec, features, "features")
        return Quantized(features.float(), None)


def nearest(features: Tensor, codebook: Tensor) -> Tensor:
    """Indices (b, n) of the codebook rows (k, d) nearest to features (b, n, d).

    The squared length of a feature is the same for all rows, so it is left out. The first of
    several equal rows wins.
    """
    squares, transposed = codebook.square().sum(-1), codebook.t()
    chunks = features.flatten(0, -2).split(max(1, MOST_DISTANCES // len(codebook)))
    codes = [torch.addmm(squares, chunk, transposed, alpha=-2).argmin(-1) for chunk in chunks]
    return torch.cat(codes).view(features.shape[:-1])
