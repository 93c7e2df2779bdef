"""Group normalization and SiLU as one step, whose backward pass suits a CPU.

torch's own backward of a group norm takes, on a CPU with matrix units in bfloat16, as long as all
convolutions of the pixel decoder together: its sums over pixels are not vectorized for channels
last. Here they are products with a row.

Axes: b images, c channels, g groups, h x w pixels, p = h * w.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

# Below, torch's own backward is as fast (benchmarks.speed.rules, on two processors).
LEAST_PIXELS = 64 * 64  # in 16 bits
LEAST_EXACT_PIXELS = 256 * 256  # in float32


def norm_silu(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """SiLU of the normalized x (b, c, h, w), by whichever way is faster; equal up to rounding."""
    suits = x.device.type == "cpu" and x.is_contiguous(memory_format=torch.channels_last)
    least = LEAST_PIXELS if x.element_size() == 2 else LEAST_EXACT_PIXELS
    if suits and x.requires_grad and x[0, 0].numel() >= least:
        return _NormSilu.apply(x, norm.weight, norm.bias, norm.num_groups, norm.eps)[0]
    return F.silu(norm(x))


class _NormSilu(torch.autograd.Function):
    """For x channels last."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float):
        b, c, h, w = x.shape
        normed, mean, rstd = torch.native_group_norm(x, weight, bias, b, c, h * w, groups, eps)
        return F.silu(normed), normed, mean, rstd

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: tuple) -> None:
        x, weight, *_ = inputs
        _, *others = output
        ctx.mark_non_differentiable(*others)
        ctx.set_materialize_grads(False)  # otherwise zeros are made for them at each backward pass
        ctx.save_for_backward(x, *others, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor, *_: Tensor):
        x, normed, mean, rstd, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        result = torch.ops.aten.silu_backward(gradient, normed)
        pixels, inner = _pixels(x), _pixels(result)
        share = inner.new_full((len(inner), 1, inner.shape[1]), 1 / inner.shape[1])
        exact = torch.promote_types(x.dtype, torch.float32)
        plain = (share @ inner).squeeze(1).to(exact)
        with_x = (share @ (inner * pixels)).squeeze(1).to(exact)
        mean, rstd = mean.to(exact), rstd.to(exact)
        factors = _factors(plain, with_x, mean, rstd, weight.to(exact))
        of_x, of_gradient, constant = (value.unsqueeze(1).to(x.dtype) for value in factors)
        rest = torch.addcmul(constant, pixels, of_x)
        torch.addcmul(rest, inner, of_gradient, out=inner)
        if not (ctx.needs_input_grad[1] or ctx.needs_input_grad[2]):
            return result, None, None, None, None
        width = len(weight) // mean.shape[1]
        mean, rstd = (value.repeat_interleave(width, dim=1) for value in (mean, rstd))
        of_weight = ((with_x - mean * plain) * rstd).sum(0) * inner.shape[1]
        of_bias = plain.sum(0) * inner.shape[1]
        return result, of_weight.to(weight.dtype), of_bias.to(weight.dtype), None, None


def _factors(
    plain: Tensor, with_x: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the norm's gradient, which is x * first + gradient * second + third: (b, c) each.

    Args:
        plain, with_x: (b, c), the means over the pixels of the gradient, and of it times x.
        mean, rstd: (b, g), of the groups.
    """
    width = len(weight) // mean.shape[1]  # channels of a group
    plain = (plain * weight).unflatten(1, (-1, width)).mean(2)
    with_x = (with_x * weight).unflatten(1, (-1, width)).mean(2)
    of_x = (mean * plain - with_x) * rstd**3
    constant = -plain * rstd - of_x * mean
    of_x, rstd, constant = (
        value.repeat_interleave(width, dim=1) for value in (of_x, rstd, constant)
    )
    return of_x, rstd * weight, constant


def _pixels(images: Tensor) -> Tensor:
    """A view (b, p, c) of images (b, c, h, w) that are channels last."""
    return images.permute(0, 2, 3, 1).flatten(1, 2)
