"""Sweep in a real ComfyUI: every value is run, shown and scored; stop keeps, cancel ends it."""

from __future__ import annotations

import numpy as np
import pytest
import requests

from devtools.comfyui.checks import node, pixels, succeed


def rows(run) -> list[list[str]]:
    """The cells of the table, head first, without its rule."""
    lines = run.outputs["10"]["digest"][0].splitlines()
    assert set(lines[1]) == {"|", "-"}
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[:1] + lines[2:]
    ]


def test_every_run_is_the_optimizers(client, sweep):
    run = succeed(client, sweep)
    single = {**sweep, "6": node("TokenOpt_Optimize", tokenizer=["1", 0], tokens=["4", 0])}
    single["6"]["inputs"].update(
        loss=["5", 0], steps=3, lr=0.2, seed=0, quantize=True, ema=False, ema_decay=0.0
    )
    single["6"]["inputs"].update(
        token_noise=False, noise_scale=0.0, regularize="none", reg_weight=0.0, reset_every=0
    )
    single["6"]["inputs"].update(preview_every=0, keep="last")
    del single["9"], single["10"]
    np.testing.assert_array_equal(
        pixels(client, run, "9")[1], pixels(client, client.run(single), "8")[0]
    )


def test_two_settings_make_rows_and_columns(client, sweep):
    sweep["6"]["inputs"].update(setting_2="steps", values_2="1\n2\n4")
    run = succeed(client, sweep)
    images = pixels(client, run, "9")
    assert len(images) == 6
    head, *body = rows(run)
    assert head == ["lr", "steps", "loss", "clip", "steps", "seconds"]
    assert [row[:2] for row in body] == [
        ["0.05", "1"],
        ["0.2", "1"],
        ["0.05", "2"],
        ["0.2", "2"],
        ["0.05", "4"],
        ["0.2", "4"],
    ]
    assert [row[4] for row in body] == ["1", "1", "2", "2", "4", "4"]
    losses = [float(row[2].strip("*")) for row in body]
    assert losses == [float(row[3]) for row in body]
    assert [row[2].startswith("**") for row in body] == [x == min(losses) for x in losses]
    assert run.progress("6") == [(i, 14) for i in range(1, 15)]
    (grid,) = pixels(client, run, "8")
    assert grid.shape[1] > 2 * 256
    assert grid.shape[0] > 3 * 256
    assert max(run.previews[-1].image.size) <= 1024


def test_prompts_are_tried_one_by_one(client, sweep):
    sweep["6"]["inputs"].update(setting_1="prompt", values_1="a star | dark:-0.4; a red circle")
    run = succeed(client, sweep)
    head, *body = rows(run)
    assert head[:5] == ["prompt", "loss", "clip: a star", "clip: dark", "clip"]
    assert body[0][0] == "a star \\| dark:-0.4"
    assert not any("**" in cell for row in body for cell in row)
    assert any("look at the images" in note for note in run.outputs["6"]["tokenopt_notes"])


@pytest.mark.parametrize(
    ("setting", "values", "differ"),
    [
        ("seed", "0, 1", True),
        ("crops", "0; 2", True),
        ("ema_decay", "0; 0.9", True),
        ("noise_scale", "0; 0.5", True),
        ("reg_weight", "0; 50", True),
        ("regularize", "none; seed; zero", True),
        ("quantize", "on; off", True),
        ("keep", "last; best", True),
        ("lr_schedule", "constant; cosine", True),
        ("max_grad_norm", "0; 0.00001", True),
        ("clip_weight", "1; 2", False),
        ("negative_weight", "0; 2", True),
        ("preserve", "0; 0.5", True),
    ],
)
def test_every_setting_reaches_its_run(client, sweep, setting, values, differ):
    sweep["5"]["inputs"]["negative_prompt"] = "dark"
    if setting == "preserve":
        sweep["5"]["inputs"]["source_prompt"] = "a red circle"
    sweep["6"]["inputs"].update(
        setting_1=setting, values_1=values, lr=0.5, reg_weight=50.0, steps=5
    )
    if setting == "ema_decay":
        sweep["6"]["inputs"]["keep"] = "average"
    images = pixels(client, succeed(client, sweep), "9").astype(int)
    assert len(images) == len(values.replace(",", ";").split(";"))
    apart = [np.abs(image - images[0]).mean() for image in images[1:]]
    assert min(apart) > 0.05 if differ else max(apart) < 2


def test_mask_weight_and_reset_reach_the_masked_loss_in_a_composite(client, sweep):
    sweep["20"] = node("SolidMask", value=0.5, width=64, height=64)
    sweep["21"] = node("TokenOpt_MaskedL1Loss", image=["3", 0], mask=["20", 0], weight=1.0)
    sweep["22"] = node("TokenOpt_CombineLosses", loss_a=["5", 0], loss_b=["21", 0])
    sweep["6"]["inputs"].update(loss=["22", 0], setting_1="mask_weight", values_1="1; 16")
    sweep["6"]["inputs"].update(setting_2="reset_every", values_2="0; 2", steps=8)
    head, *body = rows(succeed(client, sweep))
    assert head[:5] == ["mask_weight", "reset_every", "loss", "clip", "l1"]
    assert len({row[4] for row in body}) == 4


@pytest.mark.parametrize(
    ("setting", "values", "told"),
    [
        ("noise_scale", "0,5", True),
        ("noise_scale", "0, 5", False),
        ("noise_scale", "0,5,1", False),
        ("steps", "1,2", False),
    ],
)
def test_a_decimal_comma_is_remarked(client, sweep, setting, values, told):
    sweep["6"]["inputs"].update(setting_1=setting, values_1=values)
    said = succeed(client, sweep).outputs["6"]["tokenopt_notes"]
    sentence = "values_1 was read as the two values 0 and 5: the number 0.5 is written with a point"
    assert (sentence in said) == told


def test_a_batch_is_shown_side_by_side(client, sweep):
    sweep["3"]["inputs"]["batch_size"] = 3
    run = succeed(client, sweep)
    assert pixels(client, run, "9").shape == (6, 64, 64, 3)
    (grid,) = pixels(client, run, "8")
    assert grid.shape[1] > 2 * 512


def test_stop_keeps_what_is_there(client, sweep, server):
    sweep["6"]["inputs"].update(setting_2="steps", values_2="4; 400; 401", seed=11)

    def stop(event):
        if event.kind == "progress" and event.node == "6" and event.data["value"] == 10:
            answer = requests.post(f"{server.url}/tokenopt/stop", json={"node_id": "6"}, timeout=30)
            assert answer.status_code == 200

    run = succeed(client, sweep, on_event=stop)
    _, *body = rows(run)
    assert [row[2] == "not run" for row in body] == [False] * 3 + [True] * 3
    assert body[2][4].endswith("of 400")
    assert len(pixels(client, run, "9")) == 3
    assert any("3 not run" in note for note in run.outputs["6"]["tokenopt_notes"])
    (grid,) = pixels(client, run, "8")
    assert grid.shape[0] > 3 * 256


def test_cancel_ends_it_within_a_step(client, sweep):
    sweep["6"]["inputs"].update(steps=300, seed=12)
    seen = []

    def cancel(event):
        if event.kind == "progress" and event.node == "6":
            seen.append(event.data["value"])
            if seen[-1] == 2:
                client.interrupt()

    assert client.run(sweep, on_event=cancel).status == "interrupted"
    assert seen[-1] <= 4
