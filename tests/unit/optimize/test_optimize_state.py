"""Going on from `Step.state`: as if the run had never been interrupted."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tokenopt_core.losses.clip import ClipLoss
from tokenopt_core.optimize.config import OptimizeConfig
from tokenopt_core.optimize.loop import optimize

FIELDS = ("features", "images", "loss", "next_features", "averaged", "result", "best_loss")
SEEDS = [3, 1, 4]


@pytest.fixture
def loss(guide):
    return ClipLoss(guide, ["a red circle", "a blue square", "dark"], crops=2)


def redness(images):
    return (images[:, 1:] - images[:, :1]).mean((1, 2, 3))


def assert_same(steps, others):
    for a, b in zip(steps, others, strict=True):
        for name in FIELDS:
            assert torch.equal(getattr(a, name), getattr(b, name)), name


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ema_decay": 0.9, "keep": "best", "regularize": "seed", "reg_weight": 0.1},
        {"locked": (0, 3), "max_grad_norm": 0.01, "precision": "bfloat16"},
        {"precision": "float16"},
        {"quantize": False, "ema_decay": 0.5},
        {"official_rules": True, "ema_decay": 0.9},
    ],
    ids=lambda changes: ",".join(changes) or "default",
)
def test_five_and_five_are_ten(tokenizer, loss, features, changes):
    whole = list(
        optimize(tokenizer, loss, features, OptimizeConfig(steps=10, **changes), seeds=SEEDS)
    )
    half = OptimizeConfig(steps=5, **changes)
    first = list(optimize(tokenizer, loss, features, half, seeds=SEEDS))
    second = list(optimize(tokenizer, loss, None, half, seeds=SEEDS, state=first[-1].state))
    assert_same([*first, *second], whole)
    assert [step.index for step in second] == list(range(5))


def test_a_state_stays_what_it_was_while_the_run_goes_on(tokenizer, loss, features):
    config = OptimizeConfig(steps=6, ema_decay=0.9)
    whole = list(optimize(tokenizer, loss, features, config, seeds=SEEDS))
    rest = replace(config, steps=3)
    again = optimize(tokenizer, loss, None, rest, seeds=SEEDS, state=whole[2].state.to("cpu"))
    assert_same(list(again), whole[3:])


def test_noise_goes_on_instead_of_coming_again(tokenizer, features):
    config = OptimizeConfig(steps=3, token_noise=0.5)

    def offsets(steps, starts):
        pairs = zip(steps, starts, strict=True)
        return [(step.features - start).flatten() for step, start in pairs]

    first = list(optimize(tokenizer, redness, features, config))
    second = list(optimize(tokenizer, redness, None, config, state=first[-1].state))
    drawn = offsets([first[0], second[0]], [features, first[-1].next_features])
    assert drawn[0].std() > 0.3
    assert abs(torch.corrcoef(torch.stack(drawn))[0, 1]) < 0.3


def test_an_image_that_stopped_stays_so_until_reopened(tokenizer, features):
    config = OptimizeConfig(steps=4)
    stopped = list(optimize(tokenizer, redness, features, replace(config, patience=1, min_gain=9)))
    state = stopped[-1].state
    assert all(state.stopped)
    (step,) = optimize(tokenizer, redness, None, config, state=state)
    assert torch.equal(step.next_features, stopped[-1].next_features)
    again = list(optimize(tokenizer, redness, None, config, state=state.reopened()))
    assert len(again) == 4
    assert again[-1].stopped == (None,) * 3
    assert (again[-1].loss < step.loss).all()


def test_patience_counts_on(tokenizer, features):
    config = OptimizeConfig(steps=4, patience=6)

    def nothing(images):
        return 0 * images.mean((1, 2, 3))

    first = list(optimize(tokenizer, nothing, features, config))
    second = list(optimize(tokenizer, nothing, None, config, state=first[-1].state))
    assert len(second) == 3
    assert second[-1].stopped[0].startswith("no gain for 6 steps")


def test_the_best_of_the_first_run_counts_in_the_second(tokenizer, features):
    config = OptimizeConfig(steps=4, keep="best", lr=1.0)
    first = list(optimize(tokenizer, redness, features, config))[-1]

    def greenness(images):
        return 5 + images[:, 0].mean((1, 2)) - images[:, 1:].mean((1, 2, 3))

    second = list(optimize(tokenizer, greenness, None, config, state=first.state))[-1]
    assert torch.equal(second.result, first.result)
    assert torch.equal(second.best_loss, first.best_loss)
    reopened = first.state.reopened()  # another loss: the old one's best means nothing
    second = list(optimize(tokenizer, greenness, None, config, state=reopened))
    assert (second[-1].best_loss > 3).all()
    assert torch.equal(second[0].result, second[0].features)


class TestInputs:
    def test_the_other_kind_of_features(self, tokenizer, features):
        step = next(iter(optimize(tokenizer, redness, features)))
        with pytest.raises(ValueError, match="quantize is False, but the state is of a run with"):
            optimize(tokenizer, redness, None, OptimizeConfig(quantize=False), state=step.state)

    def test_nothing_to_start_from(self, tokenizer):
        with pytest.raises(ValueError, match="neither features nor a state"):
            optimize(tokenizer, redness)

    def test_a_state_of_another_tokenizer(self, tokenizer, plain_tokenizer, features):
        step = next(iter(optimize(tokenizer, redness, features)))
        with pytest.raises(ValueError, match=r"\(3, 6, 12\): tiny expects \(b, 6, 10\)"):
            optimize(plain_tokenizer, redness, state=step.state)
