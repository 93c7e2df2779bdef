"""Tokenizers against the official code: five layouts of TiTok, and the MaskGIT-VQGAN.

Every model is loaded through `load_tokenizer` from a folder in hub layout.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tokenopt_core.losses.base import as_loss
from tokenopt_core.optimize.config import OptimizeConfig
from tokenopt_core.optimize.objective import Run, objective
from tokenopt_core.tokenizers import VIT_SIZES, Posterior, Tokenizer, ViTSize, load_tokenizer
from tokenopt_core.tokenizers.config import look_up
from tokenopt_core.tokenizers.titok import LOGVAR_RANGE

VQ = ("titok_vq_l2_legacy_2stage", "titok_vq_nol2_direct", "tatitok_vq_nol2_direct")
VAE = ("titok_vae_direct", "tatitok_vae_direct")
VQGAN = "maskgit_vqgan"
GOLDEN = Path(__file__).parents[1] / "golden"
ENCODER, DECODER, GRADIENT, LOSS = 2e-5, 5e-5, 2e-4, 1e-5


@pytest.fixture(scope="module")
def load(golden, hub_folder):
    """Name -> (tokenizer, fixture), each read once."""

    @cache
    def loaded(name: str):
        size = golden(name).meta["pixel_stage"]["resolution"] if name == VQGAN else None
        return load_tokenizer(hub_folder(name, size)), golden(name)

    return loaded


def gradient(tokenizer: Tokenizer, tokens_of, leaf: Tensor, probe: Tensor, text) -> Tensor:
    """Of sum(decode(tokens_of(leaf)) * probe) with respect to leaf."""
    leaf = leaf.clone().requires_grad_()
    images = tokenizer.decode(tokens_of(leaf), text)
    return torch.autograd.grad((images * probe).sum(), leaf)[0]


@pytest.mark.parametrize("name", [*VQ, VQGAN])
def test_vq_encode_and_quantize(name, load, close):
    tokenizer, ref = load(name)
    features = tokenizer.encode(ref["image"])
    close(f"{name}: encoder", features, ref.tokens("encoder_out"), ENCODER)
    tokens, codes = tokenizer.quantize(features)
    assert codes.dtype == torch.int64
    assert torch.equal(codes, ref["indices"].flatten(1))
    straight_through = "quantized_ste" if name == VQGAN else "quantized"
    close(f"{name}: tokens", tokens, ref.tokens(straight_through), ENCODER)


@pytest.mark.parametrize("name", VQ)
def test_vq_lookup_and_decode(name, load, close):
    tokenizer, ref = load(name)
    text = ref.tensors.get("text_guidance")
    tokens = tokenizer.quantize(ref.tokens("encoder_out")).tokens
    close(f"{name}: decoder", tokenizer.decode(tokens, text), ref["decoded"], DECODER)
    from_codes = tokenizer.decode(tokenizer.lookup(ref["indices"][:, 0]), text)
    close(f"{name}: decoder", from_codes, ref["decoded_from_indices"], DECODER)
    entries = tokenizer.lookup(ref["indices2"])
    close(f"{name}: lookup", entries.flatten(0, 1), ref["codebook_entry2"], ENCODER)
    images = tokenizer.decode(entries, text)
    close(f"{name}: decoder", images, ref["decoded_from_indices2"], DECODER)


@pytest.mark.parametrize("name", VQ)
def test_vq_gradients(name, load, close):
    tokenizer, ref = load(name)
    text, probe = ref.tensors.get("text_guidance"), ref["grad_probe"]
    features = ref.tokens("encoder_out")
    before = gradient(tokenizer, lambda z: tokenizer.quantize(z).tokens, features, probe, text)
    close(f"{name}: gradient", before, ref.tokens("grad_prequant"), GRADIENT)
    after = gradient(tokenizer, lambda z: z, ref.tokens("quantized"), probe, text)
    close(f"{name}: gradient", after, ref.tokens("grad_postquant"), GRADIENT)
    if tokenizer.spec.l2_normalized:
        cosine = torch.cosine_similarity(before, features, dim=-1)
        assert cosine.abs().max() < 1e-5, "a change of length cannot change normalized tokens"


@pytest.mark.parametrize("name", [name for name in (*VQ, *VAE) if name.startswith("tatitok")])
def test_a_caption_in_a_run(name, load, close):
    """A caption given for each image, and one that the tokenizer is bound to."""
    tokenizer, ref = load(name)
    text, probe = ref["text_guidance"], ref["grad_probe"]
    vae, size = tokenizer.spec.kind == "vae", tokenizer.spec.token_size
    features = ref.tokens("mean" if vae else "encoder_out")
    gradients = ref.tokens("grad_prequant")[..., :size]

    def check(tokenizer: Tokenizer, rows: slice, text: Tensor | None) -> None:
        loss = as_loss(lambda images: (images * probe[rows]).sum((1, 2, 3)))
        config = OptimizeConfig(official_rules=True)
        run = Run(tokenizer.cast(torch.float32), loss, config, features.device, text=text)
        found = objective(run, features[rows], 0, [1.0] * len(features[rows]))
        close(f"{name}: images of a run", found.images, ref["decoded"][rows], DECODER)
        close(f"{name}: gradient of a run", found.gradient, gradients[rows], GRADIENT)

    check(tokenizer, slice(None), text)
    for k in range(len(text)):
        check(tokenizer.captioned(text[k : k + 1]), slice(k, k + 1), None)


@pytest.mark.parametrize("name", VQ)
def test_vq_losses(name, load, close):
    tokenizer, ref = load(name)
    cost = ref.meta["config"]["model"]["vq_model"].get("commitment_cost", 0.25)
    features = ref.tokens("encoder_out")
    loss = tokenizer.quantize.loss(features, tokenizer.quantize(features).codes, cost)
    close(f"{name}: losses", loss.commitment, ref["commitment_loss"], LOSS)
    close(f"{name}: losses", loss.codebook, ref["codebook_loss"], LOSS)
    close(f"{name}: losses", loss.commitment + loss.codebook, ref["quantizer_loss"], LOSS)


def test_legacy_second_stage(load, close):
    name = VQ[0]
    tokenizer, ref = load(name)
    tokens, grid = ref.tokens("quantized"), tokenizer.spec.grid
    logits = tokenizer.decoder(tokens, None).transpose(1, 2).unflatten(2, (grid, grid))
    close(f"{name}: logits", logits, ref["decoder_logits"], DECODER)
    mixed = logits.softmax(1).movedim(1, -1) @ tokenizer.pixel_quantize.embedding.weight
    close(f"{name}: latents", mixed.movedim(-1, 1), ref["pixel_stage_input"], DECODER)


@pytest.mark.parametrize("name", VAE)
def test_vae_posterior(name, load, close):
    tokenizer, ref = load(name)
    posterior = tokenizer.posterior(ref["image"])
    halves = ref.tokens("encoder_out").chunk(2, dim=-1)
    close(f"{name}: encoder", tokenizer.encode(ref["image"]), halves[0], ENCODER)
    close(f"{name}: encoder", posterior.mean, ref.tokens("mean"), ENCODER)
    close(f"{name}: encoder", posterior.logvar, ref.tokens("logvar"), ENCODER)
    close(f"{name}: encoder", posterior.std, ref.tokens("std"), ENCODER)
    close(f"{name}: KL", posterior.kl(), ref["kl"], ENCODER)
    sample = posterior.mean + posterior.std * ref.tokens("eps")
    close(f"{name}: sample", sample, ref.tokens("sample_with_eps"), ENCODER)


@pytest.mark.parametrize("name", VAE)
def test_vae_decode(name, load, close):
    tokenizer, ref = load(name)
    text = ref.tensors.get("text_guidance")
    tokens, codes = tokenizer.quantize(ref.tokens("mean"))
    assert codes is None
    close(f"{name}: decoder", tokenizer.decode(tokens, text), ref["decoded"], DECODER)
    images = tokenizer.decode(ref.tokens("sample_with_eps"), text)
    close(f"{name}: decoder", images, ref["decoded_sample"], DECODER)


@pytest.mark.parametrize("name", VAE)
def test_vae_gradients(name, load, close):
    tokenizer, ref = load(name)
    text, probe = ref.tensors.get("text_guidance"), ref["grad_probe"]
    size = tokenizer.spec.token_size
    through_mean = ref.tokens("grad_prequant")
    assert not through_mean[..., size:].any(), "the official log-variance is only a passenger"
    found = gradient(tokenizer, lambda z: z, ref.tokens("mean"), probe, text)
    close(f"{name}: gradient", found, through_mean[..., :size], GRADIENT)

    def sampled(features: Tensor) -> Tensor:
        mean, logvar = features.chunk(2, dim=-1)
        return mean + Posterior(mean, logvar.clamp(*LOGVAR_RANGE)).std * ref.tokens("eps")

    found = gradient(tokenizer, sampled, ref.tokens("encoder_out"), probe, text)
    close(f"{name}: gradient", found, ref.tokens("grad_prequant_sampled"), GRADIENT)


def test_vqgan(load, close):
    tokenizer, ref = load(VQGAN)
    codes = ref["indices"]
    assert torch.equal(codes, ref["encode_ids"])
    tokens = tokenizer.lookup(codes)
    close(f"{VQGAN}: lookup", tokens, ref.tokens("quantized"), ENCODER)
    images = tokenizer.decode(ref.tokens("quantized_ste"))
    close(f"{VQGAN}: decoder", images, ref["decoded_unclamped"], DECODER)
    images = tokenizer.decode(tokens).clamp(0, 1)
    close(f"{VQGAN}: decoder", images, ref["decode_ids_clamped"], DECODER)
    close(f"{VQGAN}: decoder", images, ref["decode_ids_3d_clamped"], DECODER)
    features = ref.tokens("encoder_out")
    found = gradient(
        tokenizer, lambda z: tokenizer.quantize(z).tokens, features, ref["grad_probe"], None
    )
    close(f"{VQGAN}: gradient", found, ref.tokens("grad_prequant"), GRADIENT)
    # The official weights of this model's two losses are the other way round.
    loss = tokenizer.quantize.loss(features, codes, commitment_cost=1.0)
    close(f"{VQGAN}: losses", loss.commitment + 0.25 * loss.codebook, ref["vq_loss"], LOSS)


def test_published_hub_folder_loads_unchanged(golden, close, monkeypatch):
    # Its config names two sizes that only the reference's test models have.
    monkeypatch.setitem(VIT_SIZES, "tiny", ViTSize(width=48, layers=2, heads=4))
    monkeypatch.setitem(VIT_SIZES, "tinyb", ViTSize(width=64, layers=3, heads=4))
    tokenizer = load_tokenizer(GOLDEN / "hub_titok_vq_nol2_direct")
    ref = golden("titok_vq_nol2_direct")
    features = tokenizer.encode(ref["image"])
    close("hub folder: encoder", features, ref.tokens("encoder_out"), ENCODER)
    assert torch.equal(tokenizer.quantize(features).codes, ref["indices"][:, 0])


def test_references_in_a_published_config_are_resolved():
    config = json.loads((GOLDEN / "hub_imagebert" / "config.json").read_text(encoding="utf-8"))
    assert config["model"]["generator"]["image_seq_len"].startswith("${")
    assert look_up(config, "model.generator.image_seq_len") == 8


@pytest.mark.parametrize("name", [*VQ, *VAE, VQGAN])
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_bare_weights_files_tell_their_architecture(name, suffix, load, golden, tmp_path):
    path = tmp_path / f"{name}{suffix}"
    weights = golden(name).weights
    if suffix == ".bin":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    spec, expected = load_tokenizer(path).spec, load(name)[0].spec
    # Only the numbers of heads (here not of 64 channels) and the image size of a convolutional
    # model cannot be read from shapes.
    for side in ("encoder", "decoder"):
        size = getattr(expected, side)
        if size is not None:
            assert getattr(spec, side).width == size.width
            assert getattr(spec, side).layers == size.layers
            spec = replace(spec, **{side: size})
    if name == VQGAN:
        assert spec.image_size == 64
        spec = replace(spec, image_size=32, num_tokens=64)
    assert replace(spec, name=expected.name) == expected
