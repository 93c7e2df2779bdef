"""MaskGIT's convolutional VQGAN (arXiv 2202.04200, section 3.1): a tokenizer of its own, and the
second stage of the legacy TiTok, whose decoder predicts its codes.

Axes: b images, c channels, h and w pixels or latent positions. Parameter names are those of the
checkpoints: `down` and `up` are indexed by level, level 0 at full resolution.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..compute.norm_silu import norm_silu
from ..images.fit import fit_images
from .base import Tokenizer, check_text, check_tokens
from .quantize import VectorQuantizer
from .spec import PixelStage, TokenizerSpec

BLOCK = 2**25 - 1  # bytes: larger blocks of memory are fresh pages at each use


class ResBlock(nn.Module):
    """Two normalized convolutions and a shortcut.

    Where the width changes, the checkpoints' shortcut projects the block's own output instead of
    its input: the input reaches the output through the convolutions only.
    """

    def __init__(self, width_in: int, width_out: int, groups: int) -> None:
        super().__init__()
        self.norm1 = group_norm(width_in, groups)
        self.conv1 = nn.Conv2d(width_in, width_out, 3, padding=1, bias=False)
        self.norm2 = group_norm(width_out, groups)
        self.conv2 = nn.Conv2d(width_out, width_out, 3, padding=1, bias=False)
        if width_in != width_out:
            self.nin_shortcut = nn.Conv2d(width_out, width_out, 1, bias=False)
        else:
            self.nin_shortcut = None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(norm_silu(self.norm1, x))
        h = self.conv2(norm_silu(self.norm2, h))
        return h + (x if self.nin_shortcut is None else self.nin_shortcut(h))


class EnlargingConv(nn.Conv2d):
    """Each pixel four times, then a 3x3 convolution: (b, c, h, w) -> (b, c, 2 * h, 2 * w).

    On a CPU both are one transposed convolution, with 4 products for each output instead of 9: a
    row or column of its kernel sums up the weights that meet the same pixel.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # not measured there
            return super().forward(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        kernel = self.weight.transpose(0, 1)
        for axis in (2, 3):
            first, middle, last = kernel.unbind(axis)
            kernel = torch.stack((last, middle + last, first + middle, first), axis)
        kernel = kernel.contiguous(memory_format=torch.channels_last)
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)


class Level(nn.Module):
    """The residual blocks of one resolution and, going up, the convolution after enlarging."""

    def __init__(
        self, width_in: int, width_out: int, stage: PixelStage, enlarge: bool = False
    ) -> None:
        super().__init__()
        self.block = res_blocks(width_in, width_out, stage.num_res_blocks, stage.norm_groups)
        self.upsample_conv = EnlargingConv(width_out) if enlarge else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x)
        return x if self.upsample_conv is None else self.upsample_conv(x)


class PixelEncoder(nn.Module):
    """Images (b, 3, h, w) -> latents (b, z, h / stride, w / stride)."""

    def __init__(self, stage: PixelStage) -> None:
        super().__init__()
        widths = _widths(stage)
        self.conv_in = nn.Conv2d(3, stage.hidden_channels, 3, padding=1, bias=False)
        inputs = [stage.hidden_channels, *widths[:-1]]
        self.down = nn.ModuleList(
            Level(before, width, stage) for before, width in zip(inputs, widths, strict=True)
        )
        self.mid = res_blocks(widths[-1], widths[-1], 2, stage.norm_groups)
        self.norm_out = group_norm(widths[-1], stage.norm_groups)
        self.conv_out = nn.Conv2d(widths[-1], stage.z_channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.down[0](self.conv_in(images))
        for level in self.down[1:]:
            x = level(F.avg_pool2d(x, 2))
        return self.conv_out(norm_silu(self.norm_out, self.mid(x)))


class PixelDecoder(nn.Module):
    """Latents (b, z, h, w) -> images (b, 3, h * stride, w * stride), not clamped."""

    def __init__(self, stage: PixelStage) -> None:
        super().__init__()
        widths = _widths(stage)
        self.conv_in = nn.Conv2d(stage.z_channels, widths[-1], 3, padding=1)
        self.mid = res_blocks(widths[-1], widths[-1], 2, stage.norm_groups)
        inputs = [*widths[1:], widths[-1]]
        self.up = nn.ModuleList(
            Level(before, width, stage, enlarge=level > 0)
            for level, (before, width) in enumerate(zip(inputs, widths, strict=True))
        )
        self.norm_out = group_norm(widths[0], stage.norm_groups)
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        if latents.device.type != "cpu" or len(latents) <= 1:
            return self._decode(latents)
        positions = latents[0, 0].numel() * 4 ** (len(self.up) - 1)
        one = positions * self.conv_out.in_channels * latents.element_size()
        return torch.cat([self._decode(some) for some in latents.split(max(1, BLOCK // one))])

    def _decode(self, latents: Tensor) -> Tensor:
        x = self.mid(self.conv_in(latents))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(norm_silu(self.norm_out, x))


class MaskGitVqgan(Tokenizer):
    """The 2D baseline: one token for each square of pixels, in row-major order."""

    def __init__(self, spec: TokenizerSpec) -> None:
        super().__init__(spec)
        if spec.layout != "maskgit-vqgan":
            raise ValueError(f"spec.layout is {spec.layout!r}, expected 'maskgit-vqgan'.")
        stage = spec.pixel_stage
        self.encoder = PixelEncoder(stage)
        self.decoder = PixelDecoder(stage)
        self.quantize = VectorQuantizer(spec)

    def encode(self, images: Tensor) -> Tensor:
        images = fit_images(images, self.spec.image_size)
        latents = self.encoder(images.to(self.encoder.conv_in.weight.dtype))
        return latents.flatten(2).transpose(1, 2).float()  # (b, n, d)

    def decode(self, tokens: Tensor, text: Tensor | None = None) -> Tensor:
        check_tokens(self.spec, tokens, "tokens")
        check_text(self.spec, text, len(tokens))
        latents = to_grid(tokens.to(self.decoder.conv_in.weight.dtype), self.spec.grid)
        return self.decoder(latents).float()


def to_grid(x: Tensor, grid: int) -> Tensor:
    """Row-major positions (b, g * g, c) as an image (b, c, g, g), channels last in memory.

    On a CPU a copy: for a single image a view's strides do not say so, and convolutions choose
    their kernel by them.
    """
    image = x.transpose(1, 2).unflatten(2, (grid, grid))
    return image.clone(memory_format=torch.channels_last) if x.device.type == "cpu" else image


def res_blocks(width_in: int, width_out: int, count: int, groups: int) -> nn.Sequential:
    """`count` residual blocks, of which the first changes the width."""
    widths = [width_in] + [width_out] * count
    return nn.Sequential(*(ResBlock(a, b, groups) for a, b in pairwise(widths)))


def group_norm(width: int, groups: int) -> nn.GroupNorm:
    """The checkpoints' normalization."""
    return nn.GroupNorm(groups, width, eps=1e-6)


def _widths(stage: PixelStage) -> list[int]:
    return [stage.hidden_channels * factor for factor in stage.channel_mult]
