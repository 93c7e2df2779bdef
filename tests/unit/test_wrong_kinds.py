"""Something of another kind than a tensor, a text or a model: one sentence that names the input."""

from __future__ import annotations

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
