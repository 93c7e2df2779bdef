"""What a loss that a user wrote is given: float32 images in every precision; and schedules."""

from __future__ import annotations

import pytest
import torch

from tokenopt_core import ClipLoss, Loss, OptimizeConfig, WeightedSum, optimize
from tokenopt_core.losses import MaskedComposite, as_loss


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
    assert loss.scheduled == scheduled
    inner = MaskedComposite(loss, torch.zeros(1, 3, 32, 32), torch.ones(1, 1, 32, 32))
    assert WeightedSum([(1.0, inner)]).scheduled == scheduled
    assert not WeightedSum([(0.0, loss)]).scheduled


def test_a_loss_of_a_user_is_scheduled_if_it_has_at_and_does_not_deny_it():
    class Changing:
        def at(self, progress):
            return self

        def __call__(self, images):
            return images.mean((1, 2, 3))

    assert as_loss(Changing()).scheduled
    assert WeightedSum([(1.0, Changing())]).scheduled
    assert not as_loss(lambda images: images.mean((1, 2, 3))).scheduled
    denying = Changing()
    denying.scheduled = False
    assert not as_loss(denying).scheduled


def brightness(images):
    return images.mean((1, 2, 3))


@pytest.mark.parametrize("cast", ["cast", "lowered"])  # the second is its name until version 0.2
def test_the_methods_of_a_loss_that_knows_nothing_of_ours_are_called(tokenizer, cast):
    calls = []

    class Foreign:
        def __getattr__(self, name):
            if name not in ("seeded", "at", cast):
                raise AttributeError(name)

            def method(*arguments):
                calls.append((name, *arguments))
                return self

            return method

        def terms(self, images):
            return {1: brightness(images), "1": 2 * brightness(images)}

        def remarks(self):
            return ["a remark"]

        def __call__(self, images):
            return 3 * brightness(images)

    features = torch.randn(2, tokenizer.spec.num_tokens, tokenizer.spec.token_size)
    config = OptimizeConfig(steps=2, precision="float32")
    steps = list(optimize(tokenizer, Foreign(), features, config, seeds=[7, 8]))
    assert calls == [(cast, torch.float32), ("seeded", [7, 8]), ("at", 0.0), ("at", 1.0)]
    assert list(steps[0].terms) == ["1", "1 2"]
    torch.testing.assert_close(steps[0].loss, 3 * brightness(steps[0].images))
    calls.clear()
    list(optimize(tokenizer, Foreign(), None, config, seeds=[7, 8], state=steps[-1].state))
    assert ("seeded", [7, 8], 2) in calls
    assert as_loss(Foreign()).remarks() == ["a remark"]


def test_a_loss_of_one_method(images):
    class Whole(Loss):
        def __call__(self, images):
            return brightness(images)

    class Parts(Loss):
        def terms(self, images):
            return {"up": brightness(images), "down": -brightness(images) / 2}

    assert list(Whole().terms(images)) == ["loss"]
    torch.testing.assert_close(Parts()(images), brightness(images) / 2)
    for loss in (Whole(), Parts()):
        assert loss.seeded([1]) is loss.at(0.5) is loss.cast(torch.bfloat16) is loss
        assert (loss.scheduled, loss.remarks()) == (False, [])


def test_what_is_no_loss_of_images_is_said(images):
    with pytest.raises(
        ValueError, match=r"'mean' has shape \(\) for 3 images: expected one number"
    ):
        as_loss(torch.mean)(images)
    with pytest.raises(ValueError, match="'<lambda>' has the type float for 3 images"):
        as_loss(lambda images: 1.0)(images)
    with pytest.raises(ValueError, match="found the type int, expected a callable"):
        as_loss(3)


def test_a_loss_around_one_of_ours_casts_it_by_the_former_name_too(tokenizer, guide):
    class Around:
        def __init__(self, inner):
            self.inner = inner

        def lowered(self, dtype, device=None):
            return Around(self.inner.lowered(dtype, device))

        def __call__(self, images):
            return 2 * self.inner(images)

    features = torch.randn(1, tokenizer.spec.num_tokens, tokenizer.spec.token_size)
    loss = ClipLoss(guide, "red", crops=0)
    config = OptimizeConfig(steps=1, precision="bfloat16")
    (single,), (double,) = (
        list(optimize(tokenizer, each, features, config)) for each in (loss, Around(loss))
    )
    torch.testing.assert_close(double.loss, 2 * single.loss)


def test_a_class_that_overrides_at_is_scheduled(images):
    class Rising(Loss):
        def at(self, progress):
            return self

        def __call__(self, images):
            return brightness(images)

    assert Rising().scheduled
    with pytest.raises(NotImplementedError, match="Loss has neither __call__ nor terms"):
        Loss()(images)
