"""Copies in half precision: the same models within rounding, no others, and when they are used."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref

import pytest
import torch
from torch import nn

from tests.unit.compute.test_fast_paths import TOLERANCE, relative
from tokenopt_core.compute import precision
from tokenopt_core.compute.half_precision import half_copy
from tokenopt_core.guides.guide import load_guide
from tokenopt_core.losses.base import WeightedSum
from tokenopt_core.losses.clip import ClipImageLoss, ClipLoss
from tokenopt_core.losses.masked import MaskedComposite
from tokenopt_core.optimize.config import OptimizeConfig
from tokenopt_core.optimize.loop import optimize
from tokenopt_core.optimize.precision import compute_dtype
from tokenopt_core.tokenizers import load_tokenizer


class TestHalfCopy:
    def test_rounds_weights_once_and_leaves_the_original(self, tokenizer):
        before = {name: value.clone() for name, value in tokenizer.state_dict().items()}
        fast = tokenizer.cast(torch.bfloat16)
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

    def test_attention_to_something_else_stays_what_it_was(self):
        attention = nn.MultiheadAttention(32, 4, batch_first=True).requires_grad_(False).eval()
        layer = half_copy(nn.Sequential(attention), torch.bfloat16)[0]
        query, x = torch.randn(1, 3, 32), torch.randn(1, 7, 32)
        mask = torch.ones(7, 7, dtype=torch.bool).triu(1)
        for given, options in (((query, x, x), {}), ((x, x, x), {"attn_mask": mask})):
            expected = attention(*given, need_weights=False, **options)[0]
            half = {id(part): part.bfloat16() for part in given}
            found = layer(*(half[id(part)] for part in given), need_weights=False, **options)[0]
            assert relative(found, expected) <= TOLERANCE[torch.bfloat16]

    def test_a_kind_of_convolution_of_its_own_stays(self):
        class Scaled(nn.Conv2d):
            def forward(self, images):
                return 2 * super().forward(images)

        conv = Scaled(3, 8, 4, stride=4).requires_grad_(False)
        images = torch.rand(1, 3, 8, 8)
        found = half_copy(nn.Sequential(conv), torch.bfloat16)(images.bfloat16())
        assert relative(found, conv(images)) <= TOLERANCE[torch.bfloat16]

    def test_terms_share_the_copy_of_a_guide_and_nobody_keeps_it(self, guide):
        first, second = (guide.cast(torch.bfloat16) for _ in range(2))
        assert first is second
        assert first is not guide.cast(torch.float16)
        gone = weakref.ref(first)
        del first, second
        gc.collect()
        assert gone() is None

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
        half = loss.cast(torch.bfloat16)
        seen = []
        for _, part in half.loss.parts:
            assert next(part._encoder.guide.visual.parameters()).dtype == torch.bfloat16
        for name, value in half.terms(image).items():
            seen.append(name)
            torch.testing.assert_close(value, loss.terms(image)[name], rtol=0, atol=0.05)
        assert len(seen) == 2
        same = loss.cast(torch.float32).seeded([3]).terms(image)
        for name, value in loss.seeded([3]).terms(image).items():
            torch.testing.assert_close(same[name], value, rtol=0, atol=1e-5)


class TestPrecision:
    def test_small_models_stay_in_float32_on_a_cpu(self, tokenizer):
        found = compute_dtype(OptimizeConfig(), torch.device("cpu"), tokenizer)
        assert found == torch.float32

    @pytest.mark.parametrize(("gain", "expected"), [(0.3, "float32"), (3.5, "bfloat16")])
    def test_large_models_use_what_the_cpu_is_faster_with(
        self, tokenizer, monkeypatch, gain, expected
    ):
        monkeypatch.setattr(precision, "LARGE", 1)
        monkeypatch.setattr(precision, "bfloat16_gain", lambda: gain)
        found = compute_dtype(OptimizeConfig(), torch.device("cpu"), tokenizer)
        assert found == getattr(torch, expected)
        official = OptimizeConfig(official_rules=True)
        assert compute_dtype(official, torch.device("cpu"), tokenizer) == torch.float32

    def test_emulated_bfloat16_is_no_gain(self):
        """oneDNN held to AVX2, where bfloat16 exists only in software."""
        code = "from tokenopt_core.compute.precision import *; print(bfloat16_gain() < WORTH)"
        old = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=old, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "True"

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


def test_float32_is_float32_under_any_autocast(tokenizer, features):
    def loss(images):
        return images.mean((1, 2, 3))

    config = OptimizeConfig(steps=1, precision="float32")
    (plain,) = optimize(tokenizer, loss, features, config)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (ambient,) = optimize(tokenizer, loss, features, config)
    assert torch.equal(ambient.images, plain.images)
