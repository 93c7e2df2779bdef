"""What the optimizer tells: chart, trajectory, codes, record; and what the options do to a run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from devtools.comfyui.checks import fails_with, node, pixels, succeed

STEPS = 6


@pytest.fixture
def edit(workflow):
    """The shipped text edit, short, with its options in node 30; see test_nodes.py for the rest."""
    graph = workflow("text_edit")
    graph["5"]["inputs"].update(crops=2)
    graph["6"]["inputs"].update(
        steps=STEPS, preview_every=0, seed=0, token_noise=False, options=["30", 0]
    )
    graph["30"] = node(
        "TokenOpt_OptimizeOptions",
        lr_schedule="constant",
        warmup=0,
        max_grad_norm=0.0,
        locked="",
        patience=0,
        min_gain=0.001,
        target="",
        seconds=0.0,
        precision="auto",
        clamp=True,
        warm_restart=False,
        trajectory_frames=4,
    )
    return graph


def told(run, number: str = "6") -> dict:
    return json.loads(run.outputs[number]["tokenopt"][0])


def text_of(graph, output: int, number: str = "6", at: str = "40") -> dict:
    """The graph with a node that tells a text output of a node."""
    return {**graph, at: node("Hostile_Digest", value=[number, output], nonce=output)}


def test_chart_and_trajectory_are_images(client, edit):
    edit["31"] = node("PreviewImage", images=["6", 2])
    edit["32"] = node("PreviewImage", images=["6", 3])
    edit["33"] = node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["4", 0])
    edit["34"] = node("PreviewImage", images=["33", 0])
    run = succeed(client, edit)
    (chart,) = pixels(client, run, "31")
    assert chart.shape[1] == 832
    assert len(np.unique(chart.reshape(-1, 3), axis=0)) > 20
    frames = pixels(client, run, "32")
    assert frames.shape == (4, 64, 64, 3)
    assert np.abs(frames[0].astype(int) - pixels(client, run, "34")[0]).max() <= 2
    assert np.abs(frames[-1].astype(int) - pixels(client, run, "8")[0]).max() <= 2


def test_a_batch_shares_the_frames_and_the_record_has_a_column_for_each(client, edit, server):
    edit["3"]["inputs"]["batch_size"] = 2
    edit["30"]["inputs"]["trajectory_frames"] = 0
    edit["32"] = node("PreviewImage", images=["6", 3])
    run = succeed(client, text_of(edit, 5))
    assert pixels(client, run, "32").shape == (1, 64, 128, 3)
    record = json.loads(run.outputs["40"]["digest"][0])
    assert record["seeds"] == [0, 1]
    assert np.shape(record["terms"]["clip"]) == (STEPS, 2)
    first, last = (sum(told(run)[name]) / 2 for name in ("loss_first", "loss_last"))
    line = f"TokenOpt: 6 steps in {told(run)['seconds']:.1f} s, loss {first:.4g} -> {last:.4g}"
    assert f"{line} (mean of 2 images)" in server.log_text()


def test_record_says_how_the_image_was_made(client, edit, server):
    edit["6"]["inputs"].update(seed=9, regularize="seed", lr=0.0)
    edit["30"]["inputs"]["lr_schedule"] = "auto"
    run = succeed(client, text_of(edit, 5))
    record = json.loads(run.outputs["40"]["digest"][0])
    assert record["seeds"] == [9]
    assert record["config"]["regularize"] == "seed"
    assert (record["config"]["lr"], record["config"]["lr_schedule"]) == (0.3, "cosine")
    assert "TokenOpt: lr 0.3, cosine, as suits demo" in server.log_text()
    assert record["tokenizer"] == "demo"
    assert record["guides"] == ["demo"]
    (asked,) = record["losses"]
    assert asked["guide"] == "demo"
    assert asked["lines"] == [edit["5"]["inputs"]["prompt"]]
    assert {"torch", "comfyui", "tokenopt"} <= set(record["versions"])
    assert np.shape(record["loss"]) == np.shape(record["penalty"]) == (STEPS, 1)
    assert told(run)["loss_last"][0] == pytest.approx(record["loss"][-1][0], abs=1e-5)
    assert not record["stopped_by_user"]


def test_codes_tell_what_changed(client, edit):
    edit["6"]["inputs"].update(steps=25, lr=0.5)
    edit["35"] = node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=["4", 0])
    edit["36"] = node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=["6", 1])
    for number, source in (("37", "35"), ("38", "36")):
        edit[number] = node("Hostile_Digest", value=[source, 1], nonce=1)
    run = succeed(client, text_of(edit, 4))
    before, after = (run.outputs[n]["digest"][0].split() for n in ("37", "38"))
    (line,) = run.outputs["40"]["digest"][0].splitlines()
    changed = [i for i in range(16) if before[i] != after[i]]
    assert changed, "nothing changed, so nothing is tested"
    assert line.startswith(f"image 0: {len(changed)} of 16 codes changed")
    for i in changed:
        assert f"{i}: {before[i]} -> {after[i]}" in line


def test_locked_tokens_do_not_move(client, edit):
    edit["6"]["inputs"].update(steps=25, lr=0.5, token_noise=True)
    edit["30"]["inputs"]["locked"] = "0-7, 12"
    run = succeed(client, text_of(edit, 5))
    (changed,) = json.loads(run.outputs["40"]["digest"][0])["changed_positions"]
    assert changed
    assert not set(changed) & {*range(8), 12}


def test_two_halves_are_a_whole_with_warm_restart(client, edit):
    edit["6"]["inputs"].update(tokens=["4", 0], lr=0.2)  # lr 0 falls along each run
    first = {**edit["6"]["inputs"], "steps": STEPS // 2}
    del first["options"]
    edit["16"] = node("TokenOpt_Optimize", **first)
    edit["17"] = node("TokenOpt_Optimize", **{**first, "tokens": ["16", 1], "options": ["31", 0]})
    edit["18"] = node("TokenOpt_Optimize", **{**first, "tokens": ["16", 1]})
    edit["31"] = node("TokenOpt_OptimizeOptions", **{**edit["30"]["inputs"], "warm_restart": True})
    for number, source in (("40", "6"), ("41", "17"), ("42", "18")):
        edit[number] = node("Hostile_Digest", value=[source, 1], nonce=2)
    run = succeed(client, edit)
    whole, halves, afresh = (run.outputs[n]["digest"] for n in ("40", "41", "42"))
    assert halves == whole
    assert afresh != whole


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"target": "5"}, "target"),
        ({"patience": 2, "min_gain": 50.0}, "no gain"),
        ({"seconds": 0.01}, "0.01"),
    ],
)
def test_a_run_stops_early_and_says_why(client, edit, settings, reason):
    edit["6"]["inputs"]["steps"] = 400
    edit["30"]["inputs"].update(settings)
    run = succeed(client, edit)
    assert told(run)["steps"] <= 4
    assert reason in told(run)["stopped"][0]
    assert any(reason in note for note in run.outputs["6"]["tokenopt_notes"])


@pytest.mark.parametrize("kept", ["last", "average", "best"])
def test_keep(client, edit, kept):
    edit["6"]["inputs"].update(keep=kept, ema_decay=0.9)
    run = succeed(client, text_of(edit, 5))
    assert json.loads(run.outputs["40"]["digest"][0])["config"]["keep"] == kept == told(run)["keep"]


def test_what_keep_changes(client, edit):
    digests = {}
    for kept in ("last", "average"):
        edit["6"]["inputs"].update(keep=kept, lr=0.3)
        run = succeed(client, text_of(edit, 1))
        digests[kept] = run.outputs["40"]["digest"][0]
    assert digests["last"] != digests["average"]
    edit["6"]["inputs"].update(keep="average", ema=False)
    assert succeed(client, text_of(edit, 1)).outputs["40"]["digest"] == [digests["last"]]


@pytest.mark.parametrize(
    ("where", "settings", "parts"),
    [
        ("30", {"target": "low"}, ("target is 'low'", "-0.3")),
        ("30", {"target": "nan"}, ("target is 'nan'",)),
        ("30", {"locked": "3, 16"}, ("locked contains '16'", "0 to 15")),
        ("30", {"locked": "first"}, ("locked is 'first'", "0 to 15")),
        ("30", {"locked": "0-15"}, ("all 16", "nothing could move")),
        ("30", {"warm_restart": True}, ("warm_restart is on", "Token Optimizer")),
        ("30", {"lr_schedule": "linear"}, ("lr_schedule", "'linear'")),
        ("30", {"precision": "int8"}, ("precision", "'int8'")),
        ("6", {"keep": "worst"}, ("keep", "'worst'")),
    ],
)
def test_bad_settings(client, edit, where, settings, parts):
    edit[where]["inputs"].update(settings)
    fails_with(client, edit, *parts)


def test_one_step_is_a_run(client, edit):
    edit["6"]["inputs"]["steps"] = 1
    edit["31"] = node("PreviewImage", images=["6", 2])
    edit["32"] = node("PreviewImage", images=["6", 3])
    run = succeed(client, edit)
    assert told(run)["steps"] == 1
    assert len(client.images(run, "32")) == 2
