"""Tokenizers: saved and loaded again, batches, image sizes, dtypes and inference mode."""

from __future__ import annotations

import pytest
import torch

from tests.unit.tokenizer_specs import ALL, VAE, VQ
from tokenopt_core.tokenizers import Posterior, build_tokenizer, load_tokenizer


@pytest.fixture(params=ALL, ids=lambda spec: spec.name)
def spec(request):
    return request.param


@pytest.fixture
def vq(hub_layout):
    return load_tokenizer(hub_layout(VQ))


def text_of(spec, batch=2):
    return torch.rand(batch, spec.text_length, spec.text_size) if spec.text_length else None


def test_saved_and_loaded_again_it_is_the_same(spec, hub_layout):
    torch.manual_seed(0)
    original = build_tokenizer(spec).eval()
    path = hub_layout(spec)
    loaded = load_tokenizer(path)
    assert loaded.spec == spec
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    images, text = torch.rand(2, 3, 16, 16), text_of(spec)
    for name, value in original.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    features = loaded.encode(images)
    torch.testing.assert_close(features, original.encode(images))
    tokens, codes = loaded.quantize(features)
    assert features.shape == tokens.shape == (2, spec.num_tokens, spec.token_size)
    assert (codes is None) == (spec.kind == "vae")
    if codes is not None:
        assert codes.shape == (2, spec.num_tokens)
        assert torch.equal(tokens, loaded.lookup(codes))
    decoded = loaded.decode(tokens, text)
    assert decoded.shape == images.shape
    torch.testing.assert_close(decoded, original.decode(tokens, text))


def test_quantizing_tokens_gives_the_same_tokens(vq):
    tokens, codes = vq.quantize(vq.lookup(torch.arange(32).view(8, 4)))
    assert torch.equal(codes, torch.arange(32).view(8, 4))
    assert tokens.norm(dim=-1).allclose(torch.ones(8, 4))


def test_a_batch_is_its_images_one_by_one(spec, hub_layout):
    tokenizer, images = load_tokenizer(hub_layout(spec)), torch.rand(3, 3, 16, 16)
    one_by_one = torch.cat([tokenizer.encode(image[None]) for image in images])
    torch.testing.assert_close(tokenizer.encode(images), one_by_one, rtol=1e-4, atol=1e-5)


def test_a_new_tokenizer_trains_all_its_weights():
    torch.manual_seed(0)
    tokenizer = build_tokenizer(VQ)
    images = torch.rand(2, 3, 16, 16)
    features = tokenizer.encode(images)
    tokens, codes = tokenizer.quantize(features)
    loss = (tokenizer.decode(tokens) - images).square().mean()
    loss = loss + sum(tokenizer.quantize.loss(features, codes))
    loss.backward()
    assert [n for n, p in tokenizer.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("size", [(16, 24), (40, 20), (7, 9), (1, 1)])
def test_images_of_other_sizes_are_cropped_to_the_middle_and_resized(vq, size):
    images = torch.zeros(1, 3, *size)
    side = min(size)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    images[:, :, top : top + side, left : left + side] = 0.5
    expected = vq.encode(torch.full((1, 3, 16, 16), 0.5))
    torch.testing.assert_close(vq.encode(images), expected, rtol=1e-4, atol=1e-5)


def test_large_images_are_resized_without_aliasing(vq):
    fine = torch.zeros(1, 3, 128, 128)
    fine[..., ::2] = 1
    grey = vq.encode(torch.full((1, 3, 16, 16), 0.5))
    torch.testing.assert_close(vq.encode(fine), grey, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stops_at_the_boundary(dtype, spec, hub_layout):
    path = hub_layout(spec)
    full, half = load_tokenizer(path), load_tokenizer(path, dtype=dtype)
    for key, weight in half.named_parameters():
        assert weight.dtype == (torch.float32 if key.startswith("quantize.") else dtype)
    images, text = torch.rand(2, 3, 16, 16), text_of(spec)
    features = half.encode(images.to(dtype))
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, full.encode(images), rtol=0.1, atol=0.1)
    # The same features get the same codes, also where autocast is on.
    codes = full.quantize(features).codes
    with torch.autocast("cpu", dtype=torch.bfloat16):
        tokens, half_codes = half.quantize(features)
    assert tokens.dtype == torch.float32
    assert half_codes is None or torch.equal(codes, half_codes)
    leaf = features.clone().requires_grad_()
    decoded = half.decode(half.quantize(leaf).tokens, text)
    assert decoded.dtype == torch.float32
    (slope,) = torch.autograd.grad(decoded.sum(), leaf)
    assert slope.isfinite().all()
    assert slope.any()


def test_weights_loaded_under_inference_mode_take_part_in_gradients(spec, hub_layout):
    path = hub_layout(spec)
    with torch.inference_mode():
        tokenizer = load_tokenizer(path, dtype=torch.bfloat16)
        assert torch.is_inference_mode_enabled()
    assert not any(p.is_inference() for p in tokenizer.parameters())
    leaf = torch.rand(1, spec.num_tokens, spec.token_size, requires_grad=True)
    tokenizer.decode(tokenizer.quantize(leaf).tokens, text_of(spec, 1)).sum().backward()
    assert leaf.grad is not None


def test_loading_leaves_the_random_state_alone(hub_layout):
    path = hub_layout(VQ)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_tokenizer(path)
    assert torch.equal(torch.rand(1), expected)


def test_posterior_of_a_vae(hub_layout, vq):
    tokenizer, images = load_tokenizer(hub_layout(VAE)), torch.rand(2, 3, 16, 16)
    posterior = tokenizer.posterior(images)
    assert torch.equal(posterior.mean, tokenizer.encode(images))
    draws = [posterior.sample(torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(draws[0], draws[1])
    noise = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(5))
    assert torch.equal(draws[0], posterior.mean + posterior.std * noise)
    standard = Posterior(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3))
    assert torch.equal(standard.kl(), torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"'vq' has a codebook and no posterior"):
        vq.posterior(images)
    with pytest.raises(ValueError, match=r"'vae' is a VAE: it has no codes"):
        tokenizer.lookup(torch.zeros(1, 4, dtype=torch.long))
