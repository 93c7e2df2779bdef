"""Every fast path against the plain one: the same numbers, in double and in single precision."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tokenopt_core.compute.attention import attend
from tokenopt_core.compute.norm_silu import LEAST_PIXELS, norm_silu
from tokenopt_core.tokenizers.quantize import nearest
from tokenopt_core.tokenizers.vqgan import EnlargingConv, to_grid

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 1.5e-2}


def relative(value, reference):
    reference = reference.double()
    return ((value.double() - reference).abs().max() / reference.abs().max()).item()


class TestNormSilu:
    @pytest.fixture
    def norm(self, monkeypatch):
        monkeypatch.setattr("tokenopt_core.compute.norm_silu.LEAST_EXACT_PIXELS", LEAST_PIXELS)
        norm = nn.GroupNorm(4, 16, eps=1e-6).requires_grad_(False)
        with torch.no_grad():
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-1, 1)
        return norm

    def given(self, dtype, side=int(LEAST_PIXELS**0.5)):
        images = torch.randn(2, 16, side, side, dtype=torch.float64) * 3 + 1
        return images.to(dtype).contiguous(memory_format=torch.channels_last).requires_grad_()

    @pytest.mark.parametrize("dtype", list(TOLERANCE))
    def test_is_silu_of_the_norm_with_its_gradient(self, norm, dtype):
        images = self.given(dtype)
        exact = images.detach().double().requires_grad_()
        weights = torch.randn_like(exact)
        plain = F.silu(copy.deepcopy(norm).double()(exact))
        ours = norm_silu(norm.to(dtype), images)
        assert "NormSilu" in type(ours.grad_fn).__name__
        (expected,) = torch.autograd.grad((plain * weights).sum(), exact)
        (gradient,) = torch.autograd.grad(ours, images, weights.to(dtype))
        assert relative(ours, plain) <= TOLERANCE[dtype]
        assert relative(gradient, expected) <= TOLERANCE[dtype]

    def test_sums_of_many_pixels_fit_into_float16(self, norm):
        images = self.given(torch.float16, side=256)
        weights = torch.full_like(images, 2.0)
        (gradient,) = torch.autograd.grad(norm_silu(norm.half(), images), images, weights)
        assert gradient.isfinite().all()

    def test_works_under_function_transforms(self, norm):
        images = self.given(torch.float32).detach()
        found = torch.func.grad(lambda x: norm_silu(norm, x).square().sum())(images)
        expected = torch.func.grad(lambda x: F.silu(norm(x)).square().sum())(images)
        assert relative(found, expected) <= TOLERANCE[torch.float32]

    def test_a_gradient_in_any_memory_format(self, norm):
        images = self.given(torch.float32)
        weights = torch.randn(images.shape)  # not channels last
        ours = norm_silu(norm, images)
        (gradient,) = torch.autograd.grad(ours, images, weights)
        (expected,) = torch.autograd.grad(F.silu(norm(images)), images, weights)
        assert relative(gradient, expected) <= TOLERANCE[torch.float32]

    def test_trains_like_any_layer(self, norm):
        norm.requires_grad_(True)
        images = self.given(torch.float32)
        weights = torch.randn_like(images)
        ours = norm_silu(norm, images)
        assert "NormSilu" in type(ours.grad_fn).__name__
        found = torch.autograd.grad((ours * weights).sum(), (norm.weight, norm.bias))
        plain = (F.silu(norm(images)) * weights).sum()
        for gradient, expected in zip(
            found, torch.autograd.grad(plain, (norm.weight, norm.bias)), strict=True
        ):
            assert relative(gradient, expected) <= TOLERANCE[torch.float32]


class TestAttend:
    @pytest.mark.parametrize("queries", [5, 9])
    def test_half_precision_on_a_cpu_has_the_exact_gradients(self, queries):
        shapes = [(2, 3, length, 8) for length in (queries, 9, 9)]
        exact = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
        half = [part.detach().bfloat16().requires_grad_() for part in exact]
        weights = torch.randn(shapes[0], dtype=torch.float64)
        plain, ours = F.scaled_dot_product_attention(*exact), attend(*half)
        expected = torch.autograd.grad(plain, exact, weights)
        gradients = torch.autograd.grad(ours, half, weights.bfloat16())
        assert relative(ours, plain) <= TOLERANCE[torch.bfloat16]
        for gradient, reference in zip(gradients, expected, strict=True):
            assert relative(gradient, reference) <= TOLERANCE[torch.bfloat16]


def test_pixels_are_channels_last_for_a_single_image_too():
    """By its strides: convolutions choose their kernel by them, also where a size is 1."""
    tokens = torch.randn(1, 3, 4).expand(1, 3, 4)[:, :1].repeat(1, 16, 1)
    grid = to_grid(tokens, 4)
    assert grid.shape == (1, 4, 4, 4)
    assert grid.stride() == (64, 1, 16, 4)


def test_codes_are_the_same_however_many_distances_are_held(monkeypatch):
    features, codebook = torch.randn(3, 7, 4), torch.randn(20, 4)
    whole = nearest(features, codebook)
    monkeypatch.setattr("tokenopt_core.tokenizers.quantize.MOST_DISTANCES", 50)
    assert torch.equal(nearest(features, codebook), whole)
    assert torch.equal(nearest(features[:0], codebook), whole[:0])


class TestEnlargingConv:
    @pytest.mark.parametrize("dtype", list(TOLERANCE))
    def test_is_the_convolution_of_the_enlarged_image_with_its_gradient(self, dtype):
        conv = EnlargingConv(8).to(dtype).requires_grad_(False)
        images = torch.randn(2, 8, 6, 5, dtype=torch.float64).to(dtype).requires_grad_()
        exact = images.detach().double().requires_grad_()
        enlarged = F.interpolate(exact, scale_factor=2.0, mode="nearest")
        plain = F.conv2d(enlarged, conv.weight.double(), conv.bias.double(), padding=1)
        ours = conv(images)
        assert "Convolution" in type(ours.grad_fn).__name__
        weights = torch.randn_like(plain)
        (expected,) = torch.autograd.grad((plain * weights).sum(), exact)
        (gradient,) = torch.autograd.grad(ours, images, weights.to(dtype))
        assert relative(ours, plain) <= TOLERANCE[dtype]
        assert relative(gradient, expected) <= TOLERANCE[dtype]
