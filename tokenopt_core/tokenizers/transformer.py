"""The transformer of TiTok's encoder and decoder (arXiv 2406.07550, section 3.2).

Axes: b images, l sequence positions, w width. Parameter names are those of the checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn import functional as F

from ..compute.attention import Attention
from .spec import ViTSize


class MLP(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.gelu(self.c_fc(x)))


class Block(nn.Module):
    """Pre-norm residual block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = MLP(width)

    def forward(self, x: Tensor, keep: slice | None = None) -> Tensor:
        """Outputs of the positions in `keep` (default: all) of x (b, l, w)."""
        kept = x if keep is None else x[:, keep]
        kept = kept + self.attn(self.ln_1(x), keep)
        return kept + self.mlp(self.ln_2(kept))


def make_blocks(size: ViTSize) -> nn.ModuleList:
    """The residual blocks of a transformer of this size."""
    return nn.ModuleList(Block(size.width, size.heads) for _ in range(size.layers))


def run_blocks(blocks: Iterable[Block], x: Tensor, keep: slice) -> Tensor:
    """Outputs (b, kept, w) at the positions `keep` of x (b, l, w).

    Nothing reads the other outputs of the last block, so it does not compute them.
    """
    *first, last = blocks
    for block in first:
        x = block(x)
    return last(x, keep)
