"""Generation: seeds, batches, held tokens, leaving early, and the faults of the official loop."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.unit.generators.conftest import SPEC, tiny_generator
from tokenopt_core.generators import SamplingConfig, check_fit, generate
from tokenopt_core.generators.config import GUIDANCE
from tokenopt_core.generators.sampling import _surest

LABELS = torch.tensor([3, 0, -1, 9])
NOISY = SamplingConfig(steps=6, temperature=3.0, guidance_scale=2.0)


def last_of(steps):
    *_, last = steps
    return last


@pytest.fixture
def counted(generator, monkeypatch):
    """The batch of each pass through the network, and what it was shown."""
    seen = []
    network = type(generator).network
    monkeypatch.setattr(
        type(generator), "network", lambda self, ids: seen.append(ids) or network(self, ids)
    )
    return seen


@pytest.mark.parametrize("kind", ["imagebert", "uvitbert"])
@pytest.mark.parametrize("schedule", GUIDANCE)
def test_a_batch_is_its_single_images(kind, schedule, untouched_rng):
    generator = tiny_generator(replace(SPEC, kind=kind))
    config = replace(NOISY, guidance_schedule=schedule)
    seeds = [5, 17, 5, 2**63]
    batch = last_of(generate(generator, LABELS, config, seeds=seeds)).codes
    for i, seed in enumerate(seeds):
        alone = generate(generator, LABELS[i : i + 1], config, seeds=[seed])
        assert torch.equal(last_of(alone).codes[0], batch[i])
    assert not torch.equal(batch[0], batch[2]), "the class counts"


def test_seeds(generator):
    labels = torch.tensor([3, 3, 3])
    first = last_of(generate(generator, labels, NOISY, seeds=7)).codes
    assert torch.equal(first, last_of(generate(generator, labels, NOISY, seeds=[7, 8, 9])).codes)
    assert len({tuple(row) for row in first.tolist()}) == 3
    with pytest.raises(ValueError, match="seeds has 2 entries for 3 images"):
        generate(generator, labels, NOISY, seeds=[1, 2])


def test_what_is_fixed_stays_and_all_is_fixed_at_last(generator):
    steps = list(generate(generator, LABELS, NOISY))
    assert [step.index for step in steps] == list(range(6))
    for before, after in zip(steps, steps[1:], strict=False):
        assert (after.fixed | ~before.fixed).all()
        assert torch.equal(after.codes[before.fixed], before.codes[before.fixed])
    for step in steps:
        assert step.codes.dtype == torch.int64
        assert 0 <= step.codes.min() <= step.codes.max() < SPEC.codebook_size
        assert step.fixed.sum(1).unique().numel() == 1
    assert steps[-1].fixed.all()
    assert not steps[0].fixed.all()


@pytest.mark.parametrize(
    ("tokens", "steps", "expected"),
    [
        (32, 8, [29, 26, 24, 21, 18, 14, 10, 0]),
        (64, 8, [58, 53, 48, 42, 36, 29, 20, 0]),
        (2, 6, [1, 1, 1, 1, 1, 0]),
        (5, 1, [0]),
    ],
)
def test_schedule_of_masks(tokens, steps, expected):
    config, masked, found = SamplingConfig(steps=steps), tokens, []
    for i in range(steps):
        masked = config.masked_after(i, tokens, masked)
        found.append(masked)
    assert found == expected


def test_schedules_of_guidance():
    def weights(name, scale=5.0, power=2.0, steps=4):
        config = SamplingConfig(
            guidance_schedule=name, guidance_scale=scale, guidance_power=power, steps=steps
        )
        return [round(config.guidance_at(i), 3) for i in range(steps)]

    assert weights("constant") == weights("none") == [5, 5, 5, 5]
    assert weights("linear") == [0, 1.25, 2.5, 3.75]
    assert weights("power-cosine") == [1, 1.038, 1.586, 3.39]
    assert weights("cosine") == [1.038, 1.586, 3.39, 5]
    sixteen = weights("cosine", scale=12.0, power=1.0, steps=16)
    assert sixteen[:4] == [1.106, 1.419, 1.927, 2.611]
    assert sixteen[-2:] == [11.894, 12]


class TestHeldTokens:
    codes = torch.randint(0, 40, (4, 8), generator=torch.Generator().manual_seed(4))
    held = torch.rand(4, 8, generator=torch.Generator().manual_seed(5)) < 0.5

    def test_survive_and_are_seen_by_every_step(self, generator, counted):
        steps = list(generate(generator, LABELS, NOISY, keep=(self.codes, self.held)))
        for step in steps:
            assert torch.equal(step.codes[self.held], self.codes[self.held])
            assert step.fixed[self.held].all()
        assert len(counted) == 6
        for ids in counted:
            for shown in ids[:, 1:].chunk(2):  # with and without the class
                assert torch.equal(shown[self.held], self.codes[self.held])

    def test_numbers_of_held_tokens_differ_in_a_batch(self, generator):
        assert self.held.sum(1).unique().numel() > 1
        together = last_of(generate(generator, LABELS, NOISY, keep=(self.codes, self.held)))
        for i in range(4):
            keep = (self.codes[i : i + 1], self.held[i : i + 1])
            alone = generate(generator, LABELS[i : i + 1], NOISY, keep=keep, seeds=i)
            assert torch.equal(last_of(alone).codes[0], together.codes[i])

    def test_codes_that_are_not_held_do_not_count(self, generator):
        other = self.codes.where(self.held, -99)
        one = last_of(generate(generator, LABELS, NOISY, keep=(self.codes, self.held)))
        two = last_of(generate(generator, LABELS, NOISY, keep=(other, self.held)))
        assert torch.equal(one.codes, two.codes)

    def test_nothing_held_is_as_without(self, generator):
        keep = (self.codes, torch.zeros(4, 8, dtype=torch.bool))
        one = last_of(generate(generator, LABELS, NOISY, keep=keep))
        assert torch.equal(one.codes, last_of(generate(generator, LABELS, NOISY)).codes)

    @pytest.mark.parametrize(
        ("keep", "message"),
        [
            (codes, "keep: expected a pair"),
            ((codes, held.long()), r"held has the type torch.int64 and the shape \(4, 8\), exp"),
            ((codes, held[:3]), r"the shape \(3, 8\), expected bool and \(4, 8\)"),
            ((codes[:, :7], held), r"codes have shape \(4, 7\), expected \(4, 8\) for 'tiny'"),
            ((codes.float(), held), "codes have type torch.float32, expected integers"),
            ((codes + 40, held), "codes lie between 0 and .*, expected 0 to 39"),
            ((codes, held | True), "held has all 8 positions of image 0, so nothing would be gen"),
            (([1], held), "codes: found the type list, expected a torch.Tensor"),
        ],
    )
    def test_impossible_ones(self, generator, keep, message):
        with pytest.raises(ValueError, match=message):
            generate(generator, LABELS, NOISY, keep=keep)


class TestOfficialFaults:
    """Number 25 of the list: none of them is here."""

    def test_each_image_has_its_own_number_of_masks(self, generator):
        """Theirs is the first image's. With seven of eight held, one may go on and one is ready."""
        held = torch.tensor([[True] * 7 + [False], [False] * 8])
        codes = torch.zeros(2, 8, dtype=torch.int64)
        steps = list(generate(generator, LABELS[:2], NOISY, keep=(codes, held)))
        assert [int(step.fixed[0].sum()) for step in steps] == [7, 7, 7, 7, 7, 8]
        assert [int(step.fixed[1].sum()) for step in steps] == [1, 2, 3, 4, 6, 8]

    def test_ties_mask_no_more_than_planned(self):
        fixed = _surest(torch.tensor([[1.0, 1, 1, 1], [0, 2, 0, 2]]), torch.tensor([2, 3]))
        assert fixed.tolist() == [[False, False, True, True], [False, False, False, True]]

    def test_one_pass_a_step_and_only_what_counts(self, generator, counted):
        for schedule, batches in (("constant", [8] * 6), ("power-cosine", [4] + [8] * 5)):
            counted.clear()
            list(generate(generator, LABELS, replace(NOISY, guidance_schedule=schedule)))
            assert [len(ids) for ids in counted] == batches
        counted.clear()
        list(generate(generator, LABELS, replace(NOISY, guidance_scale=0)))
        list(generate(generator, torch.full((4,), -1), NOISY))
        assert [len(ids) for ids in counted] == [4] * 12

    def test_dropping_the_class_draws_nothing(self, generator):
        with_guidance = replace(NOISY, guidance_schedule="linear", guidance_scale=1e-6)
        without = replace(NOISY, guidance_scale=0)
        one = last_of(generate(generator, LABELS, with_guidance)).codes
        assert torch.equal(one, last_of(generate(generator, LABELS, without)).codes)


def test_leaving_and_cancelling_take_no_further_step(generator, counted):
    for step in generate(generator, LABELS, NOISY):
        if step.index == 1:
            break
    assert len(counted) == 2
    steps = generate(generator, LABELS, NOISY)
    next(steps)
    with pytest.raises(InterruptedError):
        steps.throw(InterruptedError)
    assert list(steps) == []
    assert len(counted) == 3


def test_the_caller_keeps_gradients(generator):
    for _ in generate(generator, LABELS, NOISY):
        assert torch.is_grad_enabled()
    with torch.inference_mode():
        inside = last_of(generate(generator, LABELS, NOISY)).codes
    assert torch.equal(inside, last_of(generate(generator, LABELS, NOISY)).codes)


def test_unconditional_is_what_guidance_leads_away_from(generator):
    away = torch.tensor([5, 5, 5, 5])
    plain = last_of(generate(generator, LABELS, NOISY)).codes
    guided = last_of(generate(generator, LABELS, NOISY, unconditional=away)).codes
    assert not torch.equal(plain, guided)
    nothing = torch.full((4,), -1)
    same = last_of(generate(generator, LABELS, NOISY, unconditional=nothing)).codes
    assert torch.equal(plain, same)
    with pytest.raises(ValueError, match="unconditional has 1 entries for 4 images"):
        generate(generator, LABELS, NOISY, unconditional=away[:1])


def test_recommended_settings_count_where_none_are_given():
    best = SamplingConfig(
        steps=3,
        guidance_scale=1.0,
        guidance_schedule="linear",
        guidance_power=1.0,
        temperature=2.0,
        anneal=True,
        confidence_noise=True,
    )
    generator = tiny_generator(replace(SPEC, recommended=best))
    steps = list(generate(generator, LABELS))
    assert len(steps) == 3
    assert steps[0].config == best
    (step,) = generate(generator, LABELS, SamplingConfig(steps=1, temperature=0))
    assert step.config == replace(best, steps=1, temperature=0)


def test_numbers_of_ones_own(generator):
    source = torch.Generator().manual_seed(3)
    drawn = [
        (torch.rand(4, 8, 40, generator=source), torch.rand(4, 8, generator=source))
        for _ in range(6)
    ]
    asked = []

    def numbers(step):
        asked.append(step)
        return drawn[step]

    one = last_of(generate(generator, LABELS, NOISY, uniforms=numbers)).codes
    assert asked == [0, 1, 2, 3, 4], "the last step has no temperature"
    two = last_of(generate(generator, LABELS, NOISY, uniforms=lambda i: drawn[i], seeds=99)).codes
    assert torch.equal(one, two)


def test_half_precision_agrees(generator):
    codes = torch.full((4, 8), 40)
    exact, half = generator.logits(codes, LABELS), generator.cast(torch.bfloat16)
    rounded = half.logits(codes, LABELS)
    assert rounded.dtype == torch.float32
    assert (exact - rounded).abs().max() < 0.03 * exact.abs().max()
    assert next(generator.parameters()).dtype == torch.float32
    config = replace(NOISY, precision="bfloat16")
    assert last_of(generate(generator, LABELS, config)).fixed.all()


def test_logits_that_are_no_numbers():
    generator = tiny_generator()
    generator.model["lm_head"].weight.data.fill_(1e5)
    assert last_of(generate(generator, LABELS, NOISY)).fixed.all()
    with pytest.raises(ValueError, match="logits of 'tiny' are no numbers in torch.float16: use"):
        list(generate(generator, LABELS, replace(NOISY, precision="float16")))


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (torch.tensor([10]), "condition has labels between 10 and 10, expected 0 to 9, or -1"),
        (torch.tensor([-2, 3]), "condition has labels between -2 and 3, expected 0 to 9"),
        (torch.tensor([[1]]), r"condition has shape \(1, 1\), expected \(b,\)"),
        (torch.tensor([], dtype=torch.int64), r"condition has shape \(0,\), expected \(b,\)"),
        (torch.tensor([1.0]), "condition has type torch.float32, expected integers"),
        ([1], "condition: found the type list, expected a torch.Tensor"),
    ],
)
def test_wrong_labels(generator, condition, message):
    with pytest.raises(ValueError, match=message):
        generate(generator, condition)
    with pytest.raises(ValueError, match=message):
        generator.logits(torch.zeros(1, 8, dtype=torch.int64), condition)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps is 0: expected an integer from 1 to 10000"),
        ({"steps": True}, "steps is True: expected an integer"),
        ({"temperature": -1}, "temperature is -1: expected a number from 0"),
        ({"guidance_scale": float("nan")}, "guidance_scale is nan: expected a number"),
        ({"guidance_schedule": "steep"}, "guidance_schedule is 'steep': expected one of constant"),
        ({"anneal": 1}, "anneal is 1: expected True or False"),
        ({"precision": "half"}, "precision is 'half': expected one of auto, float32"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        SamplingConfig(**settings)


def test_a_tokenizer_that_does_not_fit(generator, tokenizer, vae, make_tokenizer):
    check_fit(generator, make_tokenizer(num_tokens=8, codebook_size=40))
    with pytest.raises(ValueError, match="found 'tiny' with 6 tokens of 64 codes, but the gener"):
        check_fit(generator, tokenizer)
    with pytest.raises(ValueError, match="6 tokens of no codes, but the generator 'tiny' makes 8"):
        check_fit(generator, vae)


def test_something_else_than_a_generator(tokenizer):
    with pytest.raises(ValueError, match="generator: found the type TiTok, expected a Generator"):
        generate(tokenizer, LABELS)
