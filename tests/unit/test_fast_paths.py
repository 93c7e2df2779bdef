"""Every fast path against the plain one: the same numbers, in double and in single precision."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tokenopt_core.attention import attend
from tokenopt_core.clip_loss import ClipImageLoss, ClipLoss
from tokenopt_core.config import OptimizeConfig
from tokenopt_core.guides import load_guide
from tokenopt_core.half import half_copy
from tokenopt_core.image_losses import MaskedComposite
from tokenopt_core.losses import WeightedSum, lowered
from tokenopt_core.optimize import optimize
from tokenopt_core.precision import compute_dtype, has_matrix_units
from tokenopt_core.steady_memory import steady_memory
from tokenopt_core.tokenizers import load_tokenizer
from tokenopt_core.tokenizers.norm_silu import LEAST_PIXELS, norm_silu
from tokenopt_core.tokenizers.quantize import nearest
from tokenopt_core.tokenizers.vqgan import to_grid

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 1.5e-2}


def relative(value, reference):
    reference = reference.double()
    return ((value.double() - reference).abs().max() / reference.abs().max()).item()


class TestNormSilu:
    @pytest.fixture
    def norm(self):
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

    def test_a_gradient_in_any_memory_format(self, norm):
        images = self.given(torch.float32)
        weights = torch.randn(images.shape)  # not channels last
        ours = norm_silu(norm, images)
        (gradient,) = torch.autograd.grad(ours, images, weights)
        (expected,) = torch.autograd.grad(F.silu(norm(images)), images, weights)
        assert relative(gradient, expected) <= TOLERANCE[torch.float32]

    def test_trains_like_any_layer(self, norm):
        norm.requires_grad_(True)
        norm_silu(norm, self.given(torch.float32)).sum().backward()
        assert norm.weight.grad.abs().min() > 0


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


class TestHalfCopy:
    def test_rounds_weights_once_and_leaves_the_original(self, tokenizer):
        before = {name: value.clone() for name, value in tokenizer.state_dict().items()}
        fast = tokenizer.lowered(torch.bfloat16)
        assert {value.dtype for value in fast.decoder.parameters()} == {torch.bfloat16}
        assert fast.encoder is tokenizer.encoder
        assert fast.quantize is tokenizer.quantize
        for name, value in tokenizer.state_dict().items():
            assert value.dtype == torch.float32
            assert torch.equal(value, before[name])

    def test_shares_what_is_of_the_type_already(self, tokenizer):
        same = half_copy(tokenizer.decoder, torch.float32)
        pairs = zip(same.parameters(), tokenizer.decoder.parameters(), strict=True)
        assert all(mine is other for mine, other in pairs)

    def test_open_clip_attention_gives_the_same_embedding(self):
        attention = nn.MultiheadAttention(32, 4, batch_first=True).requires_grad_(False).eval()
        layer = half_copy(nn.ModuleDict({"attn": attention}), torch.bfloat16)["attn"]
        x = torch.randn(3, 7, 32)
        expected = attention(x, x, x, need_weights=False)[0]
        half = x.bfloat16()
        found, nothing = layer(half, half, half, need_weights=False, attn_mask=None)
        assert nothing is None
        assert relative(found, expected) <= TOLERANCE[torch.bfloat16]

    @pytest.mark.parametrize("bias", [True, False])
    def test_windows_apart_are_a_product_of_patches(self, bias):
        conv = nn.Conv2d(3, 8, 4, stride=4, bias=bias).requires_grad_(False)
        fast = half_copy(nn.Sequential(conv), torch.bfloat16)[0]
        assert not isinstance(fast, nn.Conv2d)
        images = torch.rand(2, 3, 16, 24)
        exact, half = images.clone().requires_grad_(), images.bfloat16().requires_grad_()
        expected, found = conv(exact), fast(half)
        assert found.shape == expected.shape
        assert relative(found, expected) <= TOLERANCE[torch.bfloat16]
        weights = torch.randn_like(expected)
        (reference,) = torch.autograd.grad(expected, exact, weights)
        (gradient,) = torch.autograd.grad(found, half, weights.bfloat16())
        assert relative(gradient, reference) <= TOLERANCE[torch.bfloat16]

    @pytest.mark.parametrize("options", [{"padding": 1}, {"stride": 2}, {"kernel_size": 1}])
    def test_other_convolutions_stay(self, options):
        conv = nn.Conv2d(3, 8, **({"kernel_size": 4, "stride": 4} | options))
        assert isinstance(half_copy(nn.Sequential(conv), torch.bfloat16)[0], nn.Conv2d)

    def test_every_loss_with_a_guide_is_lowered(self, guide):
        image, mask = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
        clip = ClipLoss(guide, "a red circle", crops=2)
        inner = WeightedSum([(1.0, clip), (0.5, ClipImageLoss(guide, image, crops=2))])
        loss = MaskedComposite(inner, image, mask).seeded([3])
        half = lowered(loss, torch.bfloat16)
        seen = []
        for _, part in half.loss.parts:
            assert next(part._views.guide.visual.parameters()).dtype == torch.bfloat16
        for name, value in half.terms(image).items():
            seen.append(name)
            torch.testing.assert_close(value, loss.terms(image)[name], rtol=0, atol=0.05)
        assert len(seen) == 2
        assert lowered(loss, torch.float32) is loss


def test_pixels_are_channels_last_for_a_single_image_too():
    """By its strides: convolutions choose their kernel by them, also where a size is 1."""
    tokens = torch.randn(1, 3, 4).expand(1, 3, 4)[:, :1].repeat(1, 16, 1)
    grid = to_grid(tokens, 4)
    assert grid.shape == (1, 4, 4, 4)
    assert grid.stride() == (64, 1, 16, 4)


class TestPrecision:
    def test_small_models_stay_in_float32_on_a_cpu(self, tokenizer):
        found = compute_dtype(OptimizeConfig(), torch.device("cpu"), tokenizer)
        assert found == torch.float32

    def test_large_models_use_matrix_units_where_there_are_some(self, tokenizer, monkeypatch):
        monkeypatch.setattr("tokenopt_core.precision.LARGE", 1)
        expected = torch.bfloat16 if has_matrix_units() else torch.float32
        assert compute_dtype(OptimizeConfig(), torch.device("cpu"), tokenizer) == expected
        official = OptimizeConfig(official_rules=True)
        assert compute_dtype(official, torch.device("cpu"), tokenizer) == torch.float32

    def test_half_looks_agree_along_a_whole_float32_run(self):
        """The demo models: loss and gradient at the same features. Two runs would part for good as
        soon as one near tie of codes falls to the other side."""
        tokenizer, guide = load_tokenizer("demo"), load_guide("demo")
        start = torch.randn(2, 16, 12, generator=torch.Generator().manual_seed(1))
        loss = ClipLoss(guide, "a large red circle in the middle", crops=0)
        steps = list(optimize(tokenizer, loss, start, OptimizeConfig(steps=20, lr=0.3)))
        assert (steps[0].loss - steps[-1].loss > 0.1).all()
        one = {name: OptimizeConfig(steps=1, precision=name) for name in ("float32", "bfloat16")}
        similarities = []
        for step in steps:
            (exact,) = optimize(tokenizer, loss, step.features, one["float32"])
            (half,) = optimize(tokenizer, loss, step.features, one["bfloat16"])
            assert torch.equal(half.codes, exact.codes)
            torch.testing.assert_close(half.loss, exact.loss, rtol=0, atol=0.02)
            gradients = [s.state.position.moments.mean.flatten(1) for s in (half, exact)]
            similarities.append(torch.cosine_similarity(*gradients))
        assert torch.stack(similarities).mean() > 0.95  # autocast: 0.985


def test_steady_memory_leaves_a_process_that_works():
    with steady_memory():
        first = torch.randn(2**20).sum()
    assert torch.isfinite(first)
    assert torch.isfinite(torch.randn(2**20).sum())


def test_codes_are_the_same_however_many_distances_are_held(monkeypatch):
    features, codebook = torch.randn(3, 7, 4), torch.randn(20, 4)
    whole = nearest(features, codebook)
    monkeypatch.setattr("tokenopt_core.tokenizers.quantize.MOST_DISTANCES", 50)
    assert torch.equal(nearest(features, codebook), whole)
    assert torch.equal(nearest(features[:0], codebook), whole[:0])
