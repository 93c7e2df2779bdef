"""The library's boundary under random inputs: a right result or one ValueError in a sentence.

    TOKENOPT_EXAMPLES=2000 python dev.py test tests/unit/tokens/test_property_library.py

tries that many new inputs for each test; without it, the same few as always.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

import tokenopt_core as tc
from tests.unit.conftest import tiny_tokenizer
from tokenopt_core.tokens.edits import parse_codes
from tokenopt_core.tokens.positions import parse_positions

WORDS = 60
TOKENIZER = tiny_tokenizer()
VAE = tiny_tokenizer(kind="vae", codebook_size=None, l2_normalized=False, token_size=8)
COUNT, SIZE, CODES = (TOKENIZER.spec.num_tokens, TOKENIZER.spec.token_size, 64)

KINDS = [torch.float32] * 4 + [torch.float16, torch.bfloat16, torch.float64, torch.int64]
KINDS += [torch.uint8, torch.bool, torch.complex64]
FILLS = {
    "random": lambda x: x,
    "large": lambda x: 3 * x - 1,
    "NaN": lambda x: x * math.nan,
    "infinite": lambda x: -x / 0,
    "huge": lambda x: x * 1e30,
    "zero": lambda x: x * 0,
}
TEXTS = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="0123456789-,;: all|()^+*.eE\n\t~[]=", max_size=30),
    st.sampled_from(["9" * 5000, "0-9" * 2000, "\ud800", "(a:1e400)", "(a:nan)|b", "[x:0.1-0.9]"]),
)


@st.composite
def tensors(draw: st.DrawFn, *shapes: tuple[int, ...]) -> Tensor:
    """A tensor of one of the shapes or any other, of any type, with any numbers in any order."""
    others = st.lists(st.sampled_from([0, 1, 2, 3, COUNT, SIZE, 33]), max_size=5).map(tuple)
    shape = draw(st.one_of(st.sampled_from(shapes), others))
    assume(math.prod(shape) < 10**5)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 9)))
    plain = FILLS[draw(st.sampled_from(list(FILLS)))](torch.rand(shape, generator=generator))
    made = plain.to(draw(st.sampled_from(KINDS)))
    if draw(st.booleans()) and made.ndim > 1:
        made = made.transpose(-1, -2).contiguous().transpose(-1, -2)
    if draw(st.booleans()):
        with torch.inference_mode():
            made = made.clone()
    return made


def outcome(call: Callable[[], Any]) -> Any:
    """What the call gives; None if it refuses in one short sentence. Other errors are failures."""
    try:
        return call()
    except ValueError as error:
        message = str(error)
        assert len(message.split()) <= WORDS, message
        assert "\n" not in message.strip(), message
        return None


@given(tensors((1, 3, 32, 32), (2, 3, 40, 64), (1, 3, 1, 1), (1, 3, 1, 500), (0, 3, 9, 9)))
def test_images(images):
    for tokenizer in (TOKENIZER, VAE):
        features = outcome(lambda tokenizer=tokenizer: tokenizer.encode(images))
        if features is not None:
            assert features.isfinite().all()
            plain = images.clone().float().contiguous()
            torch.testing.assert_close(features, tokenizer.encode(plain))


@given(tensors((1, COUNT, SIZE), (3, COUNT, SIZE)))
def test_tokens(tokens):
    made = outcome(lambda: TOKENIZER.quantize(tokens))
    if made is not None and tokens.isfinite().all():
        assert made.codes.shape == tokens.shape[:2]
        assert ((made.codes >= 0) & (made.codes < CODES)).all()
        images = TOKENIZER.decode(made.tokens)
        assert images.isfinite().all() or tokens.abs().max() > 1e15


@given(tensors((1, COUNT), (3, COUNT)), st.sampled_from([1, 63, 64, -1, 2**40]))
def test_codes(numbers, factor):
    codes = numbers if numbers.is_complex() else (numbers.nan_to_num(0) * factor).long()
    tokens = outcome(lambda: TOKENIZER.lookup(codes))
    outcome(lambda: TOKENIZER.lookup(numbers))
    if tokens is not None and len(codes):
        assert torch.equal(TOKENIZER.quantize(tokens).codes, codes)
        text = tc.codes_to_text(TOKENIZER, codes, "tiny")
        assert torch.equal(tc.text_to_codes(TOKENIZER, text, "tiny"), codes)


@given(
    tensors((1, COUNT, SIZE), (3, COUNT, SIZE)),
    tensors((1, COUNT, SIZE), (3, COUNT, SIZE)),
    st.lists(st.one_of(st.integers(-2, COUNT + 1), st.sampled_from(["a", 0.5, True, None, 2**70]))),
    st.one_of(st.floats(), st.sampled_from(["x", None, 10**400])),
)
def test_edits(target, reference, positions, strength):
    made = outcome(lambda: tc.copy_tokens(target, reference, positions))
    if made is not None:
        kept = [i for i in range(made.shape[1]) if i not in positions]
        assert torch.equal(made[:, kept].nan_to_num(), target.expand_as(made)[:, kept].nan_to_num())
    for directions in (True, False):
        blend = {"directions": directions}
        if target.is_floating_point() and target.dtype == reference.dtype:
            outcome(lambda b=blend: tc.blend_tokens(target, reference, positions, [strength], **b))
    outcome(lambda: tc.set_codes(target, dict.fromkeys(positions, 1), TOKENIZER))


@given(TEXTS, st.integers(1, 300))
def test_texts(text, count):
    positions = outcome(lambda: parse_positions(text, count))
    if positions is not None:
        assert positions == sorted(set(positions))
        assert 0 <= positions[0] <= positions[-1] < count
        assert parse_positions(", ".join(map(str, positions)), count) == positions
    for position, code in (outcome(lambda: parse_codes(text, TOKENIZER.spec)) or {}).items():
        assert 0 <= position < COUNT
        assert 0 <= code < CODES
    for part in outcome(lambda: tc.parse_prompt(text)) or ():
        assert math.isfinite(part.weight)
        assert part.text.strip()
    assert outcome(lambda: tc.text_to_codes(TOKENIZER, text, "tiny")) is None


@given(st.integers(0, 60), st.characters(), st.lists(st.integers(0, CODES - 1), min_size=COUNT))
def test_a_changed_character_of_codes_is_noticed(place, letter, codes):
    line = tc.codes_to_text(TOKENIZER, torch.tensor([codes[:COUNT]]), "tiny")
    place %= len(line)
    changed = line[:place] + letter + line[place + 1 :]
    read = outcome(lambda: tc.text_to_codes(TOKENIZER, changed, "tiny"))
    assert read is None or read[0].tolist() == codes[:COUNT]


ANYTHING = st.one_of(
    st.floats(),
    st.integers(-5, 5),
    st.text(max_size=4),
    st.sampled_from([None, True, 10**400, {}, (), [1, -1], "x" * 10**5]),
)
SETTINGS = list(tc.OptimizeConfig.__dataclass_fields__)


@given(st.dictionaries(st.sampled_from(SETTINGS), ANYTHING, max_size=3))
def test_settings(settings):
    config = outcome(lambda: tc.OptimizeConfig(**settings))
    if config is not None:
        config = config.resolved(TOKENIZER.spec)
        assert all(math.isfinite(config.lr_at(i)) for i in (0, config.steps // 2, config.steps))
        assert all(math.isfinite(config.noise_scale(i)) for i in (0, config.steps - 1))


@given(
    tensors((1, 3, 32, 32), (2, 3, 32, 32)),
    tensors((1, 1, 32, 32), (2, 1, 32, 32)),
    st.integers(-2, 40),
)
def test_masks(target, mask, radius):
    images = torch.rand(2, 3, 32, 32)
    soft = outcome(lambda: tc.feather(mask, radius))
    if soft is not None:
        assert ((soft >= mask) & (soft <= 1)).all()
    loss = outcome(lambda: tc.MaskedL1Loss(target, mask)(images))
    if loss is not None:
        assert loss.shape == (2,)
        assert loss.isfinite().all() or target.abs().max() > 1e15


@given(
    st.lists(st.one_of(st.integers(-5, 2**66), st.floats(), st.text(max_size=2)), max_size=3),
    st.one_of(st.floats(), st.none(), st.just("x")),
)
def test_random_starts(seeds, spread):
    for make in (
        lambda: tc.random_features(TOKENIZER.spec, seeds, spread),
        lambda: tc.random_codes(TOKENIZER, seeds, spread)[1],
    ):
        features = outcome(make)
        if features is not None:
            assert features.shape == (len(seeds), COUNT, SIZE)
            assert features.isfinite().all() or spread > 1e30
