"""Copies of frozen models that compute in half precision: their weights are rounded once.

Autocast rounds every weight at every use, which for TiTok-L-32 and ViT-B-32 is 425 million numbers
a step. The copies share with the original whatever is already of the type.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .attention import Attention

Module = TypeVar("Module", bound=nn.Module)


def half_copy(module: Module, dtype: torch.dtype, device: torch.device | None = None) -> Module:
    """A copy of a frozen module with its floating point weights in `dtype`.

    Args:
        device: where the copy is; None is where the module is.
    """

    def copied(tensors: dict[str, Tensor | None]) -> dict[str, Tensor | None]:
        return {name: _rounded(value, dtype, device) for name, value in tensors.items()}

    copy = shallow_copy(module)
    copy._parameters, copy._buffers = copied(copy._parameters), copied(copy._buffers)
    copy._modules = {
        name: None if child is None else _for_the_cpu(half_copy(child, dtype, device))
        for name, child in copy._modules.items()
    }
    return copy


def shallow_copy(module: Module) -> Module:
    """Another module of the same type with the same attributes; torch's parts are still shared."""
    copy = type(module).__new__(type(module))
    copy.__dict__ = dict(module.__dict__)
    return copy


class _SelfAttention(nn.Module):
    """In the place of a `nn.MultiheadAttention`, for calls that attend to the query itself."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.whole = attention
        with torch.device("meta"):
            self.own = Attention(attention.embed_dim, attention.num_heads)
        self.own._parameters = {
            name: attention._parameters[name] for name in ("in_proj_weight", "in_proj_bias")
        }
        self.own.out_proj = attention.out_proj

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        **others: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """As `nn.MultiheadAttention.forward`."""
        masked = key_padding_mask is not None or attn_mask is not None
        if masked or need_weights or key is not query or value is not query:
            return self.whole(
                query, key, value, key_padding_mask, need_weights, attn_mask, **others
            )
        return self.own(query), None


class _Patches(nn.Module):
    """In the place of a convolution whose windows do not overlap: a product of patches.

    On a CPU the convolution's gradient in its input takes ten times as long as the rest of it.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias, self.sides = conv.weight, conv.bias, conv.kernel_size

    def forward(self, images: Tensor) -> Tensor:
        """(b, width, rows, columns) of images (b, c, h, w)."""
        patches = images
        for axis, side in zip((2, 3), self.sides, strict=True):
            patches = patches.unfold(axis, side, side)  # a view (b, c, rows, columns, side, side)
        patches = patches.permute(0, 2, 3, 1, 4, 5).flatten(3)
        return F.linear(patches, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


def _for_the_cpu(module: nn.Module) -> nn.Module:
    """The module, or in its place one whose backward pass suits a CPU."""
    if type(module) is nn.Conv2d and module.weight.device.type == "cpu":
        apart = module.stride == module.kernel_size and module.kernel_size > (1, 1)
        whole = module.padding in ((0, 0), "valid") and module.dilation == (1, 1)
        return _Patches(module) if apart and whole and module.groups == 1 else module
    weight = getattr(module, "in_proj_weight", None)
    if type(module) is nn.MultiheadAttention and weight is not None:
        usual = module.bias_k is None and not module.add_zero_attn
        suits = weight.device.type == "cpu" and module.batch_first and usual
        return _SelfAttention(module) if suits and module.in_proj_bias is not None else module
    if hasattr(module, "fused_attn"):  # timm's attention, which has plain products of its own
        module.fused_attn = module.fused_attn and next(module.parameters()).device.type != "cpu"
    return module


def _rounded(
    value: Tensor | None, dtype: torch.dtype, device: torch.device | None
) -> Tensor | None:
    if value is None:
        return None
    dtype, device = dtype if value.is_floating_point() else value.dtype, device or value.device
    if value.dtype == dtype and value.device == device:
        return value
    rounded = value.detach().to(device, dtype)
    if value.ndim == 4 and device.type == "cpu":  # as convolutions want them, at each use
        rounded = rounded.contiguous(memory_format=torch.channels_last)
    if isinstance(value, nn.Parameter):
        return nn.Parameter(rounded, requires_grad=False)
    return rounded


def autocast(dtype: torch.dtype, device: torch.device) -> AbstractContextManager:
    """The scope in which the models compute in `dtype`; with float32 autocast is off.

    A device without autocast, DirectML for one, computes in the types that its tensors have.
    """
    lowers = dtype != torch.float32
    try:
        return torch.autocast(device.type, dtype=dtype if lowers else None, enabled=lowers)
    except (AssertionError, RuntimeError):  # how torch says that the device has none
        return nullcontext()
