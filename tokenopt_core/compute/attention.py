"""Self-attention with frozen weights, forward and backward, as fast as the device allows.

Axes: b images, l sequence positions, w width. Parameter names are those of the checkpoints.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

MOST_WEIGHTS = 2**25  # of a layer: 64 MiB


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
        attended = attend(query, key, value)  # (b, heads, l, w / heads)
        return self.out_proj(attended.transpose(1, 2).flatten(2))


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention (b, heads, queries, d) over key and value (b, heads, l, d).

    With a gradient in half precision on a CPU by plain products: there the backward pass of
    torch's fused kernel takes longer than all of them (benchmarks/LOG.md). It keeps all weights, so
    long sequences are left to the fused one.
    """
    if query.device.type == "cpu" and query.dtype in (torch.float16, torch.bfloat16):
        weights = query.shape[:3].numel() * key.shape[2]
        if query.requires_grad and weights <= MOST_WEIGHTS:
            return _PlainAttention.apply(query, key, value)
    return F.scaled_dot_product_attention(query, key, value)


class _PlainAttention(torch.autograd.Function):
    """`attend` as products of matrices, which keeps the attention weights for the backward pass."""

    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        shape = query.shape
        query, key, value = (part.flatten(0, 1) for part in (query, key, value))  # copies
        scale = shape[-1] ** -0.5
        weights = _product(query, key.transpose(1, 2), scale).softmax(-1)
        ctx.scale = scale
        ctx.save_for_backward(query, key, value, weights)
        return torch.bmm(weights, value).view(shape)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value, weights = ctx.saved_tensors
        heads, gradient = gradient.shape[:2], gradient.flatten(0, 1)
        of_weights = torch.bmm(gradient, value.transpose(1, 2))
        of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        of_query = _product(of_scores, key, ctx.scale)
        of_key = _product(of_scores.transpose(1, 2), query, ctx.scale)
        of_value = torch.bmm(weights.transpose(1, 2), gradient)
        return tuple(part.unflatten(0, heads) for part in (of_query, of_key, of_value))


def _product(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """`scale` times the product of two stacks of matrices, in one kernel."""
    nothing = left.new_empty(()).expand(len(left), left.shape[1], right.shape[2])
    return torch.baddbmm(nothing, left, right, beta=0, alpha=scale)
