"""The record of a run: complete, JSON, and true."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from tokenopt_core.losses.base import WeightedSum
from tokenopt_core.losses.clip import ClipLoss
from tokenopt_core.optimize.config import OptimizeConfig
from tokenopt_core.optimize.loop import optimize, render
from tokenopt_core.optimize.record import RunRecorder


def redness(images):
    return (images[:, 1:] - images[:, :1]).mean((1, 2, 3))


@pytest.fixture
def run(tokenizer, guide, features):
    """Settings -> recorder and steps of a run that is over."""

    def make(loss=None, **changes):
        config = OptimizeConfig(**{"steps": 5, **changes})
        loss = loss or WeightedSum([(1.0, ClipLoss(guide, "dark", crops=2)), (0.5, redness)])
        codes = tokenizer.quantize(features).codes if config.quantize else None
        recorder, steps = RunRecorder(config, [4, 5, 6], codes, tokenizer="tiny"), []
        for step in optimize(tokenizer, loss, features, config, seeds=4):
            recorder.add(step)
            steps.append(step)
        _, quantized = render(tokenizer, steps[-1].result, config.quantize)
        recorder.finish(quantized.codes)
        return recorder, steps

    return make


def test_the_curves_are_those_of_the_steps(run):
    recorder, steps = run(regularize="zero", reg_weight=0.1)
    curves = recorder.curves()
    assert list(curves) == ["clip", "redness"]
    for index, step in enumerate(steps):
        for name in curves:
            assert curves[name][index] == step.terms[name].tolist()
        assert recorder.loss_curve()[index] == step.loss.tolist()
        assert recorder.penalty_curve()[index] == step.penalty.tolist()
    assert recorder.penalty_curve()[0][0] > 0


def test_a_stopped_image_has_no_more_values(run):
    class Broken:
        calls = 0

        def __call__(self, images):
            self.calls += 1
            broken = torch.tensor([0.0, torch.nan if self.calls == 3 else 0.0, 0.0])
            return redness(images) + broken

    recorder, _ = run(Broken())
    values = [step[1] for step in recorder.loss_curve()]
    assert [math.isnan(value) for value in values] == [False, False, True, True, True]
    assert not any(math.isnan(step[0]) for step in recorder.loss_curve())
    record = json.loads(json.dumps(recorder.record(), allow_nan=False))
    assert [step[1] for step in record["loss"]][2:] == [None] * 3
    assert "the loss became nan at step 2" in record["stopped"][1]
    assert record["stopped"][0] is None


def test_the_record_is_json_and_complete(run, tokenizer, features):
    recorder, steps = run(token_noise=0.3, lr=0.4, warmup=4, locked=(2,), target=-9.0)
    record = json.loads(json.dumps(recorder.record(), allow_nan=False))
    assert record["tokenizer"] == "tiny"
    assert record["seeds"] == [4, 5, 6]
    assert record["steps"] == 5
    assert record["config"]["lr"] == 0.4
    assert record["config"]["locked"] == [2]
    assert OptimizeConfig(**record["config"]) == recorder.config
    assert record["lr"] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])
    assert record["best_loss"] == pytest.approx(steps[-1].best_loss.tolist(), rel=1e-5)
    assert record["codes_before"] == tokenizer.quantize(features).codes.tolist()
    assert record["codes_after"] == tokenizer.quantize(steps[-1].result).codes.tolist()
    assert record["seconds"] > 0
    assert record["versions"]["torch"] == torch.__version__


def test_the_record_has_what_auto_came_to(run):
    recorder, _ = run()
    config = recorder.record()["config"]
    assert (config["lr"], config["lr_schedule"]) == (0.1, "constant")


def test_numbers_of_other_libraries_are_the_numbers_that_they_are(run):
    foreign, _ = run(
        steps=np.int64(5),
        lr=np.float32(0.25),
        warmup=np.uint8(2),
        ema_decay=Fraction(1, 2),
        quantize=np.True_,
        locked=[np.int64(2)],
        seconds=np.float16(60),
    )
    plain, _ = run(
        steps=5, lr=0.25, warmup=2, ema_decay=0.5, quantize=True, locked=(2,), seconds=60.0
    )
    record = json.loads(json.dumps(foreign.record(), allow_nan=False))
    assert record["config"] == plain.record()["config"]
    assert record["loss"] == plain.record()["loss"]


def test_seeds_of_numpy_and_terms_named_by_numbers_are_json(tokenizer, features):
    class Numbered:
        def __call__(self, images):
            return redness(images)

        def terms(self, images):
            return {np.int64(7): redness(images)}

    config, seeds = OptimizeConfig(steps=np.int32(2)), np.arange(3)
    recorder = RunRecorder(config, seeds)
    for step in optimize(tokenizer, Numbered(), features, config, seeds=seeds):
        recorder.add(step)
    record = json.loads(json.dumps(recorder.record(), allow_nan=False))
    assert record["seeds"] == [0, 1, 2]
    assert list(record["terms"]) == ["7"]


def test_changed_positions_in_numbers_and_words(run, tokenizer, features):
    recorder, steps = run(lr=0.4, locked=(0, 3))
    before = tokenizer.quantize(features).codes
    after = tokenizer.quantize(steps[-1].result).codes
    changed = recorder.changed_positions()
    assert any(changed)
    for row in range(3):
        assert changed[row] == [p for p in range(6) if before[row, p] != after[row, p]]
        assert not {0, 3} & set(changed[row])
    text = recorder.changes_text().splitlines()
    assert len(text) == 3
    first = next(row for row in range(3) if changed[row])
    position = changed[first][0]
    assert text[first].startswith(f"image {first}: {len(changed[first])} of 6 codes changed (")
    assert f"{position}: {before[first, position]} -> {after[first, position]}" in text[first]


def test_without_codes_it_says_so(run):
    recorder, _ = run(quantize=False)
    assert recorder.changed_positions() is None
    assert "no codes" in recorder.changes_text()
    assert recorder.record()["codes_after"] is None


def test_before_the_first_step_there_is_nothing(tokenizer):
    recorder = RunRecorder(OptimizeConfig(), [0])
    assert recorder.curves() == {}
    assert recorder.record()["steps"] == 0
