"""UViTBert, the generator of TiTok-S-128 (arXiv 2406.07550, section 3.3).

A U-ViT (arXiv 2209.12152): pre-norm blocks, of which each on the way out sees the output of its
counterpart on the way in. Parameter names are those of the checkpoints.

Axes: b images, l = 1 + n positions (the class, then the tokens), w width, k codebook size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..compute.attention import attend
from .base import ClassGenerator, vocabulary_size
from .spec import GeneratorSpec


class UViTBert(ClassGenerator):
    """A new one has random weights and trains like any module."""

    def __init__(self, spec: GeneratorSpec) -> None:
        super().__init__(spec)
        width, half = spec.network.width, spec.network.layers // 2
        sizes = (width, spec.network.heads, spec.mlp_width)
        self.embeddings = nn.Embedding(vocabulary_size(spec), width)
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + spec.num_tokens, width))
        self.in_blocks = nn.ModuleList(Block(*sizes) for _ in range(half))
        self.mid_block = Block(*sizes)
        self.out_blocks = nn.ModuleList(Block(*sizes, skips=True) for _ in range(half))
        self.norm = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, spec.codebook_size)
        self.apply(_init_weights)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def network(self, ids: Tensor) -> Tensor:
        x = self.embeddings(ids) + self.pos_embed
        outputs = []
        for block in self.in_blocks:
            x = block(x)
            outputs.append(x)
        x = self.mid_block(x)
        for block in self.out_blocks:
            x = block(x, outputs.pop())
        return self.lm_head(self.norm(x[:, 1:]))


class Block(nn.Module):
    """Pre-norm residual block, which may take up the output (b, l, w) of an earlier one."""

    def __init__(self, width: int, heads: int, hidden: int, skips: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        qkv, proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.attn = nn.ModuleDict({"qkv": qkv, "proj": proj})
        self.norm2 = nn.LayerNorm(width)
        fc1, fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.mlp = nn.ModuleDict({"fc1": fc1, "fc2": fc2})
        self.skip_linear = nn.Linear(2 * width, width) if skips else None

    def forward(self, x: Tensor, earlier: Tensor | None = None) -> Tensor:
        if earlier is not None:
            x = self.skip_linear(torch.cat((x, earlier), dim=-1))
        qkv = self.attn["qkv"](self.norm1(x)).unflatten(-1, (3, self.heads, -1))
        attended = attend(*qkv.permute(2, 0, 3, 1, 4))  # (b, heads, l, w / heads)
        x = x + self.attn["proj"](attended.transpose(1, 2).flatten(2))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.trunc_normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
