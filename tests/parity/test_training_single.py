"""Training in a single stage against the official code: losses, gradients, codebook."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.parity.training_parts import (
    GRADIENT,
    LOGITS,
    LOSS,
    Pooled,
    discriminator_of,
    trainable,
)
from tokenopt_core.tokenizers import Posterior
from tokenopt_core.tokenizers.quantize import VectorQuantizer
from tokenopt_core.tokenizers.spec import TokenizerSpec, ViTSize
from training.recipe.clustering import ClusteringUpdate
from training.recipe.losses import (
    LogitDistance,
    Lpips,
    generator_loss,
    kl_loss,
    quantizer_loss,
)


class TestSingleStage:
    @pytest.fixture
    def ref(self, golden):
        return golden("train_single")

    @pytest.fixture
    def lpips(self, ref):
        prefix = "perceptual_loss.lpips."
        state = {k.removeprefix(prefix): v for k, v in ref.weights.items() if k.startswith(prefix)}
        convolutions = {
            int(k.split(".")[2]): v
            for k, v in state.items()
            if k.endswith(".weight") and "net" in k
        }
        layers = []
        for number in range(30):
            if number in convolutions:
                weight = convolutions[number]
                layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
                layer.weight.data = weight
                (bias,) = (v for k, v in state.items() if k.endswith(f".{number}.bias"))
                layer.bias.data = bias
            else:
                layer = nn.MaxPool2d(2) if number in (4, 9, 16, 23) else nn.ReLU()
            layers.append(layer)
        vgg = nn.Sequential(*layers).requires_grad_(False)
        return Lpips(vgg, [state[f"lin{k}.model.1.weight"] for k in range(5)])

    @pytest.fixture
    def perceptual(self, ref, lpips):
        prefix = "perceptual_loss.convnext."
        logits = LogitDistance(Pooled(ref.weights[f"{prefix}weight"], ref.weights[f"{prefix}bias"]))
        return lambda images, targets: lpips(images, targets) + 0.1 * logits(images, targets)

    def loss(self, fake, real, perceptual, network):
        return generator_loss(
            fake,
            real,
            perceptual,
            perceptual_weight=1.0,
            discriminator=network,
            adversarial_weight=0.1,
        )

    def test_perceptual_distance(self, ref, lpips, perceptual, close):
        found = lpips(ref["fake"], ref["real"])
        close("train_single: LPIPS", found, ref["lpips"].mean(), LOGITS)
        found = perceptual(ref["fake"], ref["real"])
        close("train_single: perceptual", found, 1.1 * ref["perceptual"].mean(), LOGITS)

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("kind", ["vq", "vae"])
    def test_losses_of_tokenizer_and_images(self, ref, perceptual, close, kind, when):
        fake = ref["fake"].clone().requires_grad_()
        network = discriminator_of(ref) if when == "after" else None
        images = self.loss(fake, ref["real"], perceptual, network)
        if kind == "vq":
            leaf = ref.tokens("vq.z").requires_grad_()
            quantize = quantizer(ref["vq.codebook"], l2=False)
            tokens_loss = quantizer_loss(quantize, leaf, quantize(leaf).codes)
            close("train_single: losses", tokens_loss, ref[f"vq.{when}.quantizer_loss"], LOSS)
            total = images.total + tokens_loss
        else:
            leaf = ref.tokens("vae.moments").requires_grad_()
            posterior = Posterior(*leaf.chunk(2, dim=-1))
            divergence = kl_loss(posterior)
            close("train_single: KL", 1e-6 * divergence, ref[f"vae.{when}.kl_loss"], LOSS)
            total = images.total + 1e-6 * divergence
        close("train_single: losses", total, ref[f"{kind}.{when}.total_loss"], LOSS)
        total.backward()
        close("train_single: gradient", fake.grad, ref[f"{kind}.{when}.grad_fake"], GRADIENT)
        own = leaf.grad.transpose(1, 2).unsqueeze(2)
        close("train_single: gradient", own, ref[f"{kind}.{when}.grad_z"], GRADIENT)

    @pytest.mark.parametrize("name", ["cvq", "cvq_l2"])
    def test_clustering_update(self, ref, close, name):
        quantize = quantizer(ref[f"{name}.codebook_start"], l2=name == "cvq_l2")
        update = ClusteringUpdate(quantize)
        for step in range(3):
            key = f"{name}.{step}"
            features = ref.tokens(f"{key}.z").requires_grad_()
            tokens, codes = quantize(features)
            assert torch.equal(codes, ref[f"{key}.indices"].flatten(1))
            close(f"train_single: {name}", tokens, ref.tokens(f"{key}.quantized"), LOGITS)
            quantize.zero_grad()
            loss = quantizer_loss(quantize, features, codes)
            close(f"train_single: {name}", loss, ref[f"{key}.quantizer_loss"], LOSS)
            loss.backward()
            gradient = quantize.embedding.weight.grad
            close(f"train_single: {name}", gradient, ref[f"{key}.grad_codebook"], GRADIENT)
            update(quantize, features.detach(), codes)
            after = quantize.embedding.weight
            close(f"train_single: {name}", after, ref[f"{key}.codebook_after"], LOGITS)
            close(f"train_single: {name}", update.usage, ref[f"{key}.embed_prob_after"], LOGITS)

    @pytest.mark.parametrize("kind", ["vq", "vae"])
    def test_the_whole_stage(self, ref, perceptual, hub_folder, golden, close, kind):
        name = "tatitok_vq_nol2_direct" if kind == "vq" else "tatitok_vae_direct"
        model, given = trainable(hub_folder, name), golden(name)
        if kind == "vq":
            features = model.encode(given["image"])
            tokens, codes = model.quantize(features)
            rest = quantizer_loss(model.quantize, features, codes)
        else:
            posterior = model.posterior(given["image"])
            noise = ref.tokens("full_vae.eps")
            tokens = posterior.mean + posterior.std * noise
            rest = 1e-6 * kl_loss(posterior)
        decoded = model.decode(tokens, given["text_guidance"])
        loss = self.loss(decoded, given["image"], perceptual, discriminator_of(ref))
        total = loss.total + rest
        close(f"train_single: {kind}", total, ref[f"full_{kind}.total_loss"], LOSS)
        total.backward()
        for parameter, norm in ref.meta["full_grad_norms"][name].items():
            own = model.get_parameter(parameter).grad.norm().item()
            assert own == pytest.approx(norm, rel=2e-4, abs=1e-6)


def quantizer(codebook: torch.Tensor, l2: bool) -> VectorQuantizer:
    spec = TokenizerSpec(
        name="quantizer",
        image_size=8,
        num_tokens=8,
        token_size=codebook.shape[1],
        codebook_size=len(codebook),
        l2_normalized=l2,
        encoder=ViTSize(width=8, layers=1, heads=1),
        decoder=ViTSize(width=8, layers=1, heads=1),
        encoder_patch=8,
        decoder_patch=8,
    )
    quantize = VectorQuantizer(spec)
    quantize.embedding.weight.data = codebook.clone()
    return quantize
