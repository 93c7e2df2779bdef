"""The official optimization traces, through the public `optimize()` with `official_rules=True`.

Tolerances: tests/golden/README.md. Without quantization a trace amplifies rounding, ten times more
is allowed there.
"""

from __future__ import annotations

import pytest
import torch

from tokenopt_core.losses.masked import MaskedL1Loss
from tokenopt_core.optimize.config import OptimizeConfig
from tokenopt_core.optimize.loop import optimize, render
from tokenopt_core.tokenizers import load_tokenizer

TITOK = "titok_vq_l2_legacy_2stage"
VAE = "titok_vae_direct"
VQGAN = "maskgit_vqgan"
PLAIN = [f"{kind}_ema{decay}" for kind in ("none", "seed", "zero") for decay in ("0", "0.98")]
RUNS = [
    *(("opt_loop", TITOK, name) for name in PLAIN),
    ("opt_loop", TITOK, "zero_noise_ema0.98"),
    ("opt_loop", TITOK, "inpaint_reset5_ema0.98"),
    ("opt_loop", TITOK, "postquant_ema0"),
    ("opt_loop", VAE, "vae_det_seed_ema0.98"),
    ("opt_loop_vqgan", VQGAN, "seed_ema0"),
]


def settings(official: dict, reset_every: int) -> OptimizeConfig:
    return OptimizeConfig(
        steps=official["num_iter"],
        lr=official["lr"],
        quantize=not official.get("optimize_post_quantization_tokens", False),
        ema_decay=official.get("ema_decay", 0.0),
        token_noise=official.get("token_noise", 0.0),
        regularize=official.get("reg_type") or "none",
        reg_weight=official.get("reg_weight") or 0.0,
        reset_every=reset_every,
        official_rules=True,
    )


@pytest.mark.parametrize(("fixture", "model", "name"), RUNS)
def test_official_trace(fixture, model, name, golden, hub_folder, close):
    data = golden(fixture)
    image_size = 64 if model == VQGAN else None
    tokenizer = load_tokenizer(hub_folder(model, image_size))
    part = "vae." if model == VAE else ""
    seed_image, target = data[f"{part}seed_image"], data[f"{part}target"]
    inpaints, noisy = name.startswith("inpaint"), "noise" in name
    known = data["inpaint.mask_known"] if inpaints else torch.zeros(1)

    def loss(images):
        if inpaints:
            return ((images - seed_image).abs() * known).mean((1, 2, 3))
        return (images - target).square().mean((1, 2, 3))

    config = settings(data.meta["runs"][name]["config"], 5 if inpaints else 0)
    run = optimize(
        tokenizer,
        loss,
        tokenizer.encode(seed_image) if not noisy else data.tokens("initial_tokens"),
        config,
        reset=MaskedL1Loss(seed_image, 1 - known).composite if inpaints else None,
        noise=(lambda index: data.tokens(f"{name}.noise")[index]) if noisy else None,
    )
    steps = list(run)
    images, quantized = render(tokenizer, steps[-1].averaged, config.quantize)

    size = tokenizer.spec.token_size  # the official VAE has the log-variances behind the means
    loose = 1 if config.quantize else 10
    label = f"{fixture}/{name}"
    losses = torch.stack([step.loss for step in steps])
    trace = torch.stack([step.next_features for step in steps])
    official_trace = data.tokens(f"{name}.tokens_trace")[..., :size]
    official_average = data.tokens(f"{name}.ema_final")[..., :size]
    close(f"{label}: loss", losses, data[f"{name}.loss_trace"], loose * 1e-4)
    close(f"{label}: tokens", trace, official_trace, loose * 2e-3)
    close(f"{label}: first 5", trace[:5], official_trace[:5], loose * 2e-4)
    close(f"{label}: average", steps[-1].averaged, official_average, loose * 2e-3)
    first = data[f"{name}.first_image"]
    close(f"{label}: first image", steps[0].images.clamp(0, 1), first.clamp(0, 1), 1e-3)
    close(f"{label}: image", images, data[f"{name}.final_image"], loose * 1e-3)
    if quantized.codes is not None:
        assert torch.equal(quantized.codes, data[f"{name}.final_indices"].flatten(1))
