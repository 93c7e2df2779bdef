"""The published training recipe against the official code: losses, gradients, tables."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tests.parity.training_parts import (
    GRADIENT,
    LECAM,
    LOGITS,
    LOSS,
    TRACE,
    Pooled,
    discriminator_of,
    trainable,
)
from tokenopt_core.tokenizers import TiTok
from tokenopt_core.tokenizers.spec import PixelStage, TokenizerSpec, ViTSize
from training.recipe.losses import (
    DiscriminatorLoss,
    LogitDistance,
    generator_loss,
)
from training.recipe.schedules import ParameterAverage, decay_groups, ema_decay, learning_rate
from training.recipe.stages import proxy_stage_loss, train_pixel_stage, train_proxy_stage


class TestStage1:
    @pytest.fixture
    def ref(self, golden):
        return golden("train_stage1")

    @pytest.fixture
    def model(self, ref):
        spec = TokenizerSpec(
            name="stage 1",
            image_size=16,
            num_tokens=8,
            token_size=12,
            codebook_size=64,
            l2_normalized=True,
            encoder=ViTSize(**ref.meta["sizes"]["enc"]),
            decoder=ViTSize(**ref.meta["sizes"]["dec"]),
            encoder_patch=4,
            decoder_patch=4,
            legacy=True,
            pixel_stage=PixelStage(
                hidden_channels=32, channel_mult=(1, 1, 1), num_embeddings=80, z_channels=8
            ),
        )
        model = TiTok(spec)
        missing, extra = model.load_state_dict(ref.weights, strict=False)
        assert not extra
        assert all(name.startswith("pixel_") for name in missing)
        return train_proxy_stage(model)

    def test_loss_and_every_gradient(self, ref, model, close):
        loss = proxy_stage_loss(model, ref["image"][:2], ref["target_codes"][:2])
        logits = ref["logits"].flatten(2).transpose(1, 2)
        close("train_stage1: logits", loss.logits, logits, LOGITS)
        assert torch.equal(loss.codes, ref["indices"].flatten(1))
        close("train_stage1: losses", loss.total, ref["total_loss"], LOSS)
        close("train_stage1: losses", loss.cross_entropy, ref["reconstruction_loss"], LOSS)
        close("train_stage1: losses", loss.commitment, ref["commitment_loss"], LOSS)
        close("train_stage1: losses", loss.codebook, ref["codebook_loss"], LOSS)
        loss.total.backward()
        trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        expected = {k.removeprefix("grad."): v for k, v in ref.tensors.items() if "grad." in k}
        assert trained.keys() == expected.keys()
        for name, gradient in expected.items():
            keys = gradient.clone()
            own = trained[name].grad.clone()
            if name.endswith("in_proj_bias"):  # the keys' third has a zero true gradient
                third = len(keys) // 3
                keys[third : 2 * third], own[third : 2 * third] = 0, 0
            close("train_stage1: gradients", own, keys, GRADIENT)

    def test_five_steps(self, ref, model, close):
        groups = decay_groups(model.named_parameters(), 0.01)
        optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))
        average = ParameterAverage(model)
        for step in range(5):
            rate = learning_rate(step, base=1e-3, end=1e-4, warmup=2, steps=8)
            assert rate == pytest.approx(ref["trace.lr"][step].item(), rel=1e-6, abs=1e-12)
            for group in optimizer.param_groups:
                group["lr"] = rate
            rows = slice(0, 2) if step % 2 == 0 else slice(2, 4)
            loss = proxy_stage_loss(model, ref["image"][rows], ref["target_codes"][rows])
            close("train_stage1: trace", loss.total, ref["trace.total_loss"][step], LOSS)
            optimizer.zero_grad()
            loss.total.backward()
            trained = [p for p in model.parameters() if p.requires_grad]
            norm = nn.utils.clip_grad_norm_(trained, 1.0)
            close("train_stage1: trace", norm, ref["trace.grad_norm"][step], LOSS)
            optimizer.step()
            average.update(model)
            decay = ref["trace.ema_decay"][step].item()
            assert ema_decay(step + 1) == pytest.approx(decay, rel=1e-6)
        for kind, module in (("final", model), ("ema", average.module)):
            state = module.state_dict()
            wanted = {k: v for k, v in ref.tensors.items() if k.startswith(f"trace.{kind}.")}
            assert len(wanted) == 4
            for key, value in wanted.items():
                own = state[key.removeprefix(f"trace.{kind}.")]
                close(f"train_stage1: {kind} weights", own, value, TRACE)


class TestStage2:
    @pytest.fixture
    def ref(self, golden):
        return golden("train_stage2")

    @pytest.fixture
    def perceptual(self, ref):
        return LogitDistance(Pooled(ref["perceptual.weight"], ref["perceptual.bias"]))

    def test_discriminator(self, ref, close):
        logits = discriminator_of(ref)(ref["disc.image_u8"].float() / 255)
        close("train_stage2: discriminator", logits, ref["disc.logits"], LOGITS)

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_generator_loss(self, ref, perceptual, close, when):
        fake = ref["fake"][0].clone().requires_grad_()
        network = discriminator_of(ref)
        loss = generator_loss(
            fake,
            ref["real"][0],
            perceptual,
            perceptual_weight=0.1,
            discriminator=network if when == "after" else None,
            adversarial_weight=0.01,
        )
        parts = {
            "total_loss": loss.total,
            "reconstruction_loss": loss.reconstruction,
            "perceptual_loss": 0.1 * loss.perceptual,
            "gan_loss": loss.adversarial,
            "weighted_gan_loss": 0.01 * loss.adversarial,
        }
        for name, value in parts.items():
            close("train_stage2: losses", value, ref[f"gen.{when}.{name}"], LOSS)
        loss.total.backward()
        close("train_stage2: gradient", fake.grad, ref[f"gen.{when}.grad_fake"], GRADIENT)
        assert all(p.grad is None for p in network.parameters())

    def test_discriminator_loss_over_three_steps(self, ref, close):
        network, loss_of = discriminator_of(ref), DiscriminatorLoss()
        for step in range(3):
            real, fake = network(ref["real"][step]), network(ref["fake"][step])
            loss, lecam = loss_of(real, fake)
            close("train_stage2: losses", loss, ref[f"dis.{step}.discriminator_loss"], LOSS)
            close("train_stage2: LeCam", lecam, ref[f"dis.{step}.lecam_loss"], LECAM)
            close("train_stage2: LeCam", loss_of.mean_real, ref[f"dis.{step}.ema_real"][0], LECAM)
            close("train_stage2: LeCam", loss_of.mean_fake, ref[f"dis.{step}.ema_fake"][0], LECAM)
            network.zero_grad()
            loss.backward()
            for name, parameter in network.named_parameters():
                wanted = ref.tensors.get(f"dis.{step}.grad.{name}")
                if wanted is not None:
                    close("train_stage2: gradients", parameter.grad, wanted, GRADIENT)

    def test_the_whole_stage(self, ref, perceptual, hub_folder, golden, close):
        name = ref.meta["model_fixture"]
        model = train_pixel_stage(trainable(hub_folder, name))
        images = golden(name)["image"]
        decoded = model.decode(model.quantize(model.encode(images)).tokens)
        loss = generator_loss(
            decoded,
            images,
            perceptual,
            perceptual_weight=0.1,
            discriminator=discriminator_of(ref),
            adversarial_weight=0.01,
        )
        close("train_stage2: whole stage", loss.total, ref["full.total_loss"], LOSS)
        loss.total.backward()
        frozen = {n for n, p in model.named_parameters() if p.grad is None}
        assert frozen == set(ref.meta["full_frozen"])
        for key, value in ref.tensors.items():
            if key.startswith("full.grad."):
                own = model.get_parameter(key.removeprefix("full.grad.")).grad
                close("train_stage2: whole stage", own, value, GRADIENT)
        for name, norm in ref.meta["full_grad_norms"].items():
            own = model.get_parameter(name).grad.norm().item()
            assert own == pytest.approx(norm, rel=2e-4, abs=1e-6)


class TestSchedules:
    @pytest.fixture
    def ref(self, golden):
        return golden("train_misc")

    @pytest.mark.parametrize(
        ("name", "settings"),
        [
            ("cosine", {"base": 1e-4, "end": 1e-5, "warmup": 10, "steps": 100}),
            ("cosine_no_warmup", {"base": 2e-4, "end": 0.0, "warmup": 0, "steps": 100}),
            ("constant", {"base": 1e-4, "end": 1e-4, "warmup": 10, "steps": 100}),
            ("discriminator", {"base": 1e-4, "end": 1e-5, "warmup": 10, "steps": 80}),
        ],
    )
    def test_learning_rates(self, ref, name, settings):
        table = ref[f"lr.{name}"][:100].double()
        rates = torch.tensor(
            [learning_rate(step, **settings) for step in range(len(table))], dtype=torch.float64
        )
        assert (rates - table).abs().max() <= 1e-12 * table.max()

    def test_the_rate_stays_at_its_end(self):
        late = learning_rate(500, base=1e-4, end=1e-5, warmup=10, steps=100)
        assert math.isclose(late, 1e-5)

    def test_the_average_of_weights(self, ref):
        found = torch.tensor([ema_decay(int(n)) for n in ref["ema.updates"]], dtype=torch.float64)
        assert (found - ref["ema.decay"]).abs().max() <= 1e-12
        module = nn.ParameterList([ref[f"ema.start.{i}"].clone() for i in range(3)])
        module[2].requires_grad_(False)
        average = ParameterAverage(module)
        for update in range(5):
            for i in range(3):
                module[i].data = ref[f"ema.{update}.param.{i}"]
            average.update(module)
            for i, own in enumerate(average.module):
                assert torch.allclose(own, ref[f"ema.{update}.shadow.{i}"], rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("group", ["titok_stage1", "titok_stage2", "discriminator", "tatitok"])
    def test_what_is_decayed(self, ref, golden, group):
        names = ref.meta["decay_groups"][group]
        shapes = self.parameters(golden, group)
        both = [*names["decayed"], *names["not_decayed"]]
        named = [(n, nn.Parameter(torch.zeros_like(shapes[n]))) for n in both]
        decayed, plain = decay_groups(named, 0.01)
        found = {id(p): n for n, p in named}
        assert [found[id(p)] for p in decayed["params"]] == names["decayed"]
        assert [found[id(p)] for p in plain["params"]] == names["not_decayed"]
        assert (decayed["weight_decay"], plain["weight_decay"]) == (0.01, 0.0)

    def parameters(self, golden, group):
        source = {
            "titok_stage1": "train_stage1",
            "titok_stage2": "titok_vq_l2_legacy_2stage",
            "discriminator": "train_stage2",
            "tatitok": "tatitok_vq_nol2_direct",
        }[group]
        return golden(source).weights
