"""The transformer of TiTok's encoder and decoder (arXiv 2406.07550, section 3.2).

Axes: b images, l sequence positions, w width. Parameter names are those of the checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .spec import ViTSize


class Attention(nn.Module):
    """Full multi-head self-attention with packed query, key and value weights."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.trunc_normal_(self.in_proj_weight, std=0.02)

    def forward(self, x: Tensor, keep: slice | None = None) -> Tensor:
        """Attend from the positions in `keep` (default: all) to all of x (b, l, w)."""
        if keep is None:
            qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        else:
            width = x.shape[-1]
            weights = self.in_proj_weight.split((width, 2 * width))
            biases = self.in_proj_bias.split((width, 2 * width))
            query = F.linear(x[:, keep], weights[0], biases[0])
            qkv = (query, *F.linear(x, weights[1], biases[1]).chunk(2, dim=-1))
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in qkv)
        attended = F.scaled_dot_product_attention(query, key, value)  # (b, heads, l, w / heads)
        return self.out_proj(attended.transpose(1, 2).flatten(2))


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
