"""Measures each rule of speed on a CPU: a call with the rule, and without it.

python -m benchmarks.speed.rules [--rounds 7] [--json FILE]

The rules were found on one processor; this says whether they hold on another. Sizes are those of
TiTok-L-32 and ViT-B/32 with 8 crops; every pair alternates in one process. bfloat16 is measured
only where it is faster than float32 at all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenopt_core import load_tokenizer
from tokenopt_core.compute.attention import _PlainAttention
from tokenopt_core.compute.half_precision import half_copy
from tokenopt_core.compute.norm_silu import _NormSilu
from tokenopt_core.compute.precision import WORTH, bfloat16_gain
from tokenopt_core.tokenizers.vqgan import EnlargingConv, group_norm

from .. import command
from . import models
from .clock import Call, alternate

CPU = torch.device("cpu")
Pair = tuple[str, Call, Call]  # its name, the plain way, the rule's


def main() -> int:
    parser = command.parser("speed.rules", __doc__)
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds of each pair")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    options = parser.parse_args()
    gain = bfloat16_gain()
    print(f"{torch.get_num_threads()} threads, bfloat16 {gain:.2f} times as fast as float32\n")
    print("| rule | numbers | plain, ms | with the rule, ms | times as fast |")
    print("| --- | --- | ---: | ---: | ---: |")
    rows = []
    for dtype in (torch.float32, torch.bfloat16)[: 2 if gain >= WORTH else 1]:
        for name, plain, ours in pairs(dtype):
            timings = alternate({"plain": plain, "ours": ours}, options.rounds, CPU)
            first, second = (timings[way].median * 1000 for way in ("plain", "ours"))
            ratio = timings["plain"].times(timings["ours"])
            numbers = str(dtype).removeprefix("torch.")
            print(f"| {name} | {numbers} | {first:.1f} | {second:.1f} | {ratio:.2f} |", flush=True)
            row = {"rule": name, "numbers": numbers, "plain": first, "ours": second, "ratio": ratio}
            rows.append(row)
    command.write_json(options.json, rows)
    return 0


def pairs(dtype: torch.dtype) -> Iterator[Pair]:
    """Every rule that applies to these numbers."""
    yield from _norms(dtype)
    yield from _layers(dtype)
    yield from _attention(dtype)
    yield from _decoders(dtype)


def _norms(dtype: torch.dtype) -> Iterator[Pair]:
    for width, side in ((128, 256), (256, 128), (512, 64), (512, 16)):
        norm = group_norm(width).to(dtype).requires_grad_(False)
        x = _images(width, side, dtype)
        yield (
            f"gradient of norm and SiLU by products, {width} channels at {side} x {side}",
            _with_gradient(lambda x, norm=norm: F.silu(norm(x)), x),
            _with_gradient(lambda x, norm=norm: _always(norm, x), x),
        )


def _layers(dtype: torch.dtype) -> Iterator[Pair]:
    conv = EnlargingConv(128).to(dtype).requires_grad_(False)
    plain = nn.Conv2d(128, 128, 3, padding=1).to(dtype).requires_grad_(False)
    plain = plain.to(memory_format=torch.channels_last)
    yield (
        "enlarging and its convolution as one transposed convolution",
        _with_gradient(
            lambda x: plain(F.interpolate(x, scale_factor=2.0)), _images(128, 128, dtype)
        ),
        _with_gradient(conv, _images(128, 128, dtype)),
    )
    conv = nn.Conv2d(3, 768, 32, stride=32, bias=False).to(dtype).requires_grad_(False)
    crops = torch.rand(8, 3, 224, 224).to(dtype)
    yield (
        "CLIP's patches as a product",
        _with_gradient(conv, crops),
        _with_gradient(half_copy(nn.Sequential(conv), dtype), crops),
    )


def _attention(dtype: torch.dtype) -> Iterator[Pair]:
    for name, shape in (("TiTok", (1, 16, 289, 64)), ("CLIP", (8, 12, 50, 64))):
        parts = torch.randn(3, *shape).to(dtype)
        yield (
            f"{name}'s attention by plain products (a rule in 16 bits only)",
            _with_gradient(lambda x: F.scaled_dot_product_attention(*x), parts),
            _with_gradient(lambda x: _PlainAttention.apply(*x), parts),
        )
    layer = nn.MultiheadAttention(768, 12, batch_first=True).to(dtype).requires_grad_(False).eval()
    ours = half_copy(nn.ModuleDict({"attn": layer}), dtype)["attn"]
    words = torch.randn(8, 50, 768).to(dtype)
    yield (
        "CLIP's attention layer as ours",
        _with_gradient(lambda x: layer(x, x, x, need_weights=False)[0], words),
        _with_gradient(lambda x: ours(x, x, x, need_weights=False)[0], words),
    )


def _decoders(dtype: torch.dtype) -> Iterator[Pair]:
    vqgan = models.tokenizer("maskgit-vqgan", CPU).cast(dtype)
    tokens = torch.randn(1, 256, 256)
    grid = tokens.transpose(1, 2).unflatten(2, (16, 16)).to(dtype).contiguous()
    yield (
        "MaskGIT-VQGAN's pixels channels last",
        _with_gradient(vqgan.decoder, grid),
        _with_gradient(vqgan.decode, tokens),
    )
    if dtype == torch.float32 and bfloat16_gain() < WORTH:
        return
    for name in ("demo", "titok-s128", "titok-b64"):
        whole = load_tokenizer("demo") if name == "demo" else models.tokenizer(name, CPU)
        other = whole.cast(torch.bfloat16 if dtype == torch.float32 else dtype)
        tokens = torch.randn(1, whole.spec.num_tokens, whole.spec.token_size)
        if dtype == torch.float32:
            yield (
                f"{name} in bfloat16",
                _with_gradient(whole.decode, tokens),
                _with_gradient(other.decode, tokens),
            )


def _images(width: int, side: int, dtype: torch.dtype) -> Tensor:
    images = torch.randn(1, width, side, side).to(dtype)
    return images.contiguous(memory_format=torch.channels_last)


def _always(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """The rule's way, whatever the size."""
    return _NormSilu.apply(x, norm.weight, norm.bias, norm.num_groups, norm.eps)[0]


def _with_gradient(call: Callable[[Tensor], Tensor], x: Tensor) -> Call:
    """`call` of x and its gradient in x."""

    def both() -> None:
        variable = x.detach().requires_grad_()
        result = call(variable)
        torch.autograd.grad(result, variable, torch.ones_like(result))

    return both


if __name__ == "__main__":
    sys.exit(main())
