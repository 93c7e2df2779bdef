"""What a loss that a user wrote is given: float32 images in every precision; and schedules."""

from __future__ import annotations

import pytest
import torch

from tokenopt_core import ClipLoss, OptimizeConfig, WeightedSum, optimize
from tokenopt_core.losses.base import as_loss
from tokenopt_core.losses.masked import MaskedComposite


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("kind", ["tokenizer", "plain_tokenizer", "vae"])
@pytest.mark.parametrize("clamp", [True, False])
def test_images_are_float32_where_models_compute_in_half(
    request, guide, images, kind, precision, clamp
):
    tokenizer = request.getfixturevalue(kind)
    seen = []

    def redness(given):
        seen.append(given.dtype)
        return (given[:, 1:] - given[:, :1]).mean((1, 2, 3))

    size = tokenizer.spec.image_size
    inside = MaskedComposite(redness, torch.zeros(1, 3, size, size), torch.ones(1, 1, size, size))
    loss = WeightedSum([(1.0, ClipLoss(guide, "red", crops=2)), (1.0, redness), (1.0, inside)])
    config = OptimizeConfig(steps=2, precision=precision, clamp=clamp)
    features = torch.randn(2, tokenizer.spec.num_tokens, tokenizer.spec.token_size)
    list(optimize(tokenizer, loss, features, config))
    assert len(seen) == 4
    assert set(seen) == {torch.float32}


@pytest.mark.parametrize(
    ("prompt", "scheduled"),
    [
        ("red", False),
        ("red:1 | blue:-0.4", False),
        ("red:1@0-1", False),
        ("red:1 | blue:0.5@0.5-1", True),
        ("red:1@0-0.5", True),
        ("red:1 | blue:0@0.5-1", False),
        (["red", "blue:1@0-0.5"], True),
    ],
)
def test_a_prompt_that_changes_in_the_run_is_known_through_sums_and_composites(
    guide, prompt, scheduled
):
    loss = ClipLoss(guide, prompt)
    assert as_loss(loss).scheduled == scheduled
    inner = MaskedComposite(loss, torch.zeros(1, 3, 32, 32), torch.ones(1, 1, 32, 32))
    assert as_loss(WeightedSum([(1.0, inner)])).scheduled == scheduled
    assert not as_loss(WeightedSum([(0.0, loss)])).scheduled


def test_a_loss_of_a_user_is_scheduled_if_it_has_at_and_does_not_deny_it():
    class Changing:
        def at(self, progress):
            return self

        def __call__(self, images):
            return images.mean((1, 2, 3))

    assert as_loss(Changing()).scheduled
    assert as_loss(WeightedSum([(1.0, Changing())])).scheduled
    assert not as_loss(lambda images: images.mean((1, 2, 3))).scheduled
    denying = Changing()
    denying.scheduled = False
    assert not as_loss(denying).scheduled
