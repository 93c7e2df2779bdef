"""The clustering update of a codebook: codes that are hardly used move to features of the batch.

"Online Clustered Codebook" (arXiv 2307.15139), as TA-TiTok trains (arXiv 2501.07730, section 3.1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tokenopt_core.tokenizers.quantize import VectorQuantizer


class ClusteringUpdate(nn.Module):
    """Moves the codes of `quantize` after a step; the optimizer trains them as well."""

    def __init__(self, quantize: VectorQuantizer, decay: float = 0.99):
        super().__init__()
        self.decay = decay
        self.register_buffer("usage", torch.zeros(len(quantize.embedding.weight)))

    @torch.no_grad()
    def forward(self, quantize: VectorQuantizer, features: Tensor, codes: Tensor) -> None:
        """Updates the codebook from features (b, n, d) and the codes (b, n) that they chose.

        A code's anchor is the feature nearest to it. The less a code is used, the further it moves
        there.
        """
        codebook = quantize.embedding.weight
        flat = features.float().flatten(0, 1)
        count = torch.bincount(codes.flatten(), minlength=len(codebook)).float()
        self.usage.lerp_(count / count.sum(), 1 - self.decay)
        unit, table = quantize.normalize(flat), quantize.codebook()
        nearest = (unit.square().sum(1) - 2 * table @ unit.T).argmin(1)
        share = torch.exp(-10 * len(codebook) * self.usage / (1 - self.decay) - 0.001)
        codebook.lerp_(flat[nearest], share.unsqueeze(1))
