"""The recipe of `training.generator` against the official code: masks, loss, decay, steps."""

from __future__ import annotations

import pytest
import torch

from tokenopt_core.generators import load_generator
from tokenopt_core.generators.base import ANY
from training.generator import (
    DROPPED,
    decay_groups,
    masked_count,
    masked_loss,
    masked_positions,
)

LOGITS, GRADIENT, LOSS = 2e-5, 2e-4, 1e-5
GRADIENTS = {
    "imagebert": ("model.embeddings.word_embeddings.weight", "model.lm_head.weight"),
    "uvitbert": ("embeddings.weight", "lm_head.weight"),
}


@pytest.fixture(scope="module")
def misc(golden):
    return golden("train_misc")


@pytest.mark.parametrize("tokens", [8, 32, 128])
def test_how_many_are_masked(misc, tokens):
    assert torch.equal(masked_count(misc["mask.u"], tokens).long(), misc[f"mask.{tokens}.count"])


def test_which_are_masked(misc):
    masks = masked_positions(misc["mask.u"], misc["mask.8.order_uniform"])
    assert torch.equal(masks, misc["mask.8.masks"])
    shown = misc["mask.8.codes"].masked_fill(masks, 40)
    assert torch.equal(shown, misc["mask.8.masked_ids"])


def test_loss_and_its_gradient(misc, close):
    logits = misc["mlm.logits"].clone().requires_grad_()
    loss = masked_loss(logits, misc["mask.8.codes"], misc["mask.8.masks"])
    (gradient,) = torch.autograd.grad(loss, logits)
    close("training: loss", loss, misc["mlm.loss"], LOSS)
    close("training: gradient", gradient, misc["mlm.grad_logits"], GRADIENT)


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_step(misc, hub_folder, close, name):
    generator = load_generator(hub_folder(name)).requires_grad_()
    part = {
        key: misc[f"step.{name}.{key}"] for key in ("codes", "classes", "u", "drop_u", "logits")
    }
    masks = masked_positions(part["u"], misc[f"step.{name}.order_uniform"])
    assert torch.equal(masks, misc[f"step.{name}.masks"])
    labels = part["classes"].masked_fill(part["drop_u"] < DROPPED, ANY)
    logits = generator(part["codes"].masked_fill(masks, 40), labels)
    close(f"training {name}: logits", logits, part["logits"], LOGITS)
    loss = masked_loss(logits, part["codes"], masks)
    close(f"training {name}: loss", loss, misc[f"step.{name}.loss"], LOSS)
    weights = dict(generator.named_parameters())
    found = torch.autograd.grad(loss, [weights[key] for key in GRADIENTS[name]])
    for key, gradient in zip(GRADIENTS[name], found, strict=True):
        reference = misc[f"step.{name}.grad.{key}"]
        close(f"training {name}: gradient", gradient, reference, GRADIENT)


@pytest.mark.parametrize("name", GRADIENTS)
def test_which_weights_decay(misc, hub_folder, name):
    generator = load_generator(hub_folder(name))
    names = {id(weight): key for key, weight in generator.named_parameters()}
    decayed, spared = (
        {names[id(weight)] for weight in group["params"]}
        for group in decay_groups(generator.named_parameters(), 0.03)
    )
    assert decayed == set(misc.meta["decay_groups"][name]["decayed"])
    assert spared == set(misc.meta["decay_groups"][name]["not_decayed"])
