"""Something of another kind than a tensor, a text or a model: one sentence that names the input."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

import tokenopt_core as tc
from tests.unit.conftest import tiny_tokenizer

TOKENIZER = tiny_tokenizer()
IMAGE = torch.rand(1, 3, 32, 32)
MASK = torch.ones(1, 1, 32, 32)
FEATURES = TOKENIZER.encode(IMAGE).detach()
NO_TENSORS = {
    "ndarray": np.zeros((1, 3, 32, 32), np.float32),
    "str": "a red circle",
    "NoneType": None,
    "int": 3,
    "list": [[1.0]],
}
TAKE_TENSORS = {
    "encode": ("images", TOKENIZER.encode),
    "decode": ("tokens", TOKENIZER.decode),
    "quantize": ("features", TOKENIZER.quantize),
    "lookup": ("codes", TOKENIZER.lookup),
    "render": ("features", lambda given: tc.render(TOKENIZER, given)),
    "total variation": ("images of total variation", tc.TotalVariationLoss()),
    "range": ("images of range", tc.RangeLoss()),
    "l1": ("images of l1", tc.MaskedL1Loss(IMAGE, 1 - MASK)),
    "l1 target": ("target", lambda given: tc.MaskedL1Loss(given, MASK)),
    "l1 mask": ("mask", lambda given: tc.MaskedL1Loss(IMAGE, given)),
    "feather": ("mask", lambda given: tc.feather(given, 2)),
}


@pytest.mark.parametrize("kind", NO_TENSORS)
@pytest.mark.parametrize("caller", TAKE_TENSORS)
def test_no_tensor(caller, kind):
    name, call = TAKE_TENSORS[caller]
    with pytest.raises(ValueError, match=f"^{name}: found the type {kind}, expected"):
        call(NO_TENSORS[kind])


@pytest.mark.parametrize("kind", NO_TENSORS)
def test_no_tensor_for_a_guide(guide, kind):
    given = NO_TENSORS[kind]
    for name, call in {
        "images": guide.encode_image,
        "images of clip": tc.ClipLoss(guide, "red"),
        "images of clip image": tc.ClipImageLoss(guide, IMAGE),
        "image": lambda given: tc.ClipImageLoss(guide, given),
    }.items():
        with pytest.raises(ValueError, match=f"^{name}: found the type {kind}, expected"):
            call(given)


@pytest.mark.parametrize("shape", [(3, 32, 32), (), (1, 4, 32, 32), (1, 3, 32, 32, 1)])
def test_tensors_that_are_no_images(guide, shape):
    given = torch.rand(shape)
    losses = [tc.TotalVariationLoss(), tc.RangeLoss(), tc.ClipLoss(guide, "red")]
    for call in [TOKENIZER.encode, *losses, tc.ClipImageLoss(guide, IMAGE)]:
        with pytest.raises(ValueError, match=r"^images.*: found the shape .*\(b, 3, h, w\)"):
            call(given)


@pytest.mark.parametrize("given", [None, 3, torch.rand(2), [1.0], [["red"]], ["red", None]])
def test_no_prompt(guide, given):
    with pytest.raises(ValueError, match="^prompt: found the type .*, expected a text"):
        tc.ClipLoss(guide, given)


@pytest.mark.parametrize("given", [3, torch.rand(2), [1.0], [["red"]], ["red", None]])
def test_no_negative_prompt(guide, given):
    with pytest.raises(ValueError, match="^negative_prompt: found the type .*, expected a text"):
        tc.ClipLoss(guide, "red", given)


def test_no_model(guide):
    with pytest.raises(ValueError, match="^guide: found the type str, expected a Guide"):
        tc.ClipLoss("demo", "red")
    with pytest.raises(ValueError, match="^guide: found the type str, expected a Guide"):
        tc.ClipImageLoss("demo", IMAGE)
    loss = tc.ClipLoss(guide, "red")
    with pytest.raises(ValueError, match="^tokenizer: found the type str, expected a Tokenizer"):
        tc.optimize("demo", loss, FEATURES)
    with pytest.raises(ValueError, match="^loss: found the type str, expected a callable"):
        tc.optimize(TOKENIZER, "red", FEATURES)
    with pytest.raises(ValueError, match="^features: found the type ndarray, expected a torch"):
        tc.optimize(TOKENIZER, loss, FEATURES.numpy())


TOKENS = TOKENIZER.quantize(FEATURES).tokens
SCORES = torch.rand(2, 50)
HOLE = torch.zeros(1, 1, 32, 32)
HOLE[..., 8:12, 8:12] = 1
TAKE_NUMBERS = {
    "random features": lambda n: tc.random_features(TOKENIZER.spec, [n(3)], n(2)),
    "random codes": lambda n: tc.random_codes(TOKENIZER, [n(3)], n(2))[1],
    "one seed": lambda n: next(tc.optimize(TOKENIZER, redness, FEATURES, seeds=n(3))).features,
    "influence": lambda n: tc.pixel_influence(
        TOKENIZER, TOKENS, samples=n(2), seed=n(1), batch=n(4)
    ),
    "choose": lambda n: tc.choose(SCORES, "top percent", percent=n(20), seed=n(1)),
    "feather": lambda n: tc.feather(HOLE, n(3)),
    "blend": lambda n: tc.blend_tokens(TOKENS, -TOKENS, [n(0)], [n(1)], directions=True),
    "codes": lambda n: tc.set_codes(TOKENS, {n(1): n(2)}, TOKENIZER),
    "weight": lambda n: tc.WeightedSum([(n(2), redness)])(IMAGE),
    "prompt": lambda n: repr(tc.WeightedText("red", n(2))),
    "search": lambda n: repr(tc.SearchConfig(top_k=n(2), share=n(1), batch=n(8))),
}


def redness(images):
    return images[:, 0].mean((1, 2))


@pytest.mark.parametrize("kind", [np.int64, np.uint8], ids=["int64", "uint8"])
@pytest.mark.parametrize("caller", TAKE_NUMBERS)
def test_numbers_of_numpy(caller, kind):
    call = TAKE_NUMBERS[caller]
    made, expected = call(kind), call(int)
    if isinstance(made, torch.Tensor):
        torch.testing.assert_close(made, expected)
    else:
        assert made == expected


@pytest.mark.parametrize("kind", [float, np.float32, Fraction])
def test_fractions_of_any_kind(guide, kind):
    half = kind(0.5)
    loss = tc.ClipLoss(guide, "red", "blue", crops=0, crop_area=half, negative_weight=half)
    expected = tc.ClipLoss(guide, "red", "blue", crops=0, crop_area=0.5, negative_weight=0.5)
    torch.testing.assert_close(loss(IMAGE), expected(IMAGE))
    moved = tc.random_features(TOKENIZER.spec, [1], half)
    torch.testing.assert_close(moved, tc.random_features(TOKENIZER.spec, [1], 0.5))


@pytest.mark.parametrize("value", [np.float32("nan"), np.float64("inf"), Fraction(10**400)])
def test_numbers_out_of_range_are_refused_whatever_their_kind(value):
    with pytest.raises(ValueError, match="^lr is .*: expected a number above 0"):
        tc.OptimizeConfig(lr=value)
