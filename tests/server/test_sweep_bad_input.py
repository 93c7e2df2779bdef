"""Sweeps that cannot be run: what is wrong is said before the first run."""

from __future__ import annotations

import pytest

from devtools.comfyui.checks import fails_with, node


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"values_1": " ; "}, ("values_1 is empty", "lr")),
        ({"values_1": "0.1; fast"}, ("values_1", "'fast'", "a number above 0")),
        ({"values_1": "0,5"}, ("values_1 has '0' for lr", "a point in a number: 0.5, not 0,5")),
        ({"values_1": "0,5; 0,7"}, ("values_1 has '0,5'", "a point in a number: 0.5, not 0,5")),
        ({"values_1": "0"}, ("values_1", "'0'", "above 0")),
        ({"values_1": "0.1; 0.10"}, ("values_1", "twice")),
        ({"setting_1": "steps", "values_1": "1.5"}, ("'1.5'", "whole number")),
        ({"setting_1": "quantize", "values_1": "on; maybe"}, ("'maybe'", "on or off")),
        ({"setting_1": "keep", "values_1": "worst"}, ("'worst'", "last, average, best")),
        ({"setting_2": "lr", "values_2": "0.1"}, ("both lr",)),
        ({"setting_2": "seed"}, ("values_2 is empty",)),
        ({"setting_1": "seed", "values_1": ";".join(map(str, range(65)))}, ("65 runs", "64")),
        ({"setting_1": "mask_weight", "values_1": "1"}, ("mask_weight = 1", "L1 Masked Loss")),
        ({"setting_1": "reset_every", "values_1": "0; 5"}, ("reset_every = 5", "L1 Masked Loss")),
        ({"setting_1": "negative_weight", "values_1": "1"}, ("negative_prompt",)),
        ({"setting_1": "clip_weight", "values_1": "1; 0"}, ("clip_weight = 0", "weight 0")),
        ({"setting_1": "prompt", "values_1": "a star; zeppelin"}, ("zeppelin", "knows no word")),
        ({"setting_1": "prompt", "values_1": "a star:1@5"}, ("prompt = a star:1@5", "range")),
        ({"setting_1": "lr", "values_1": "0; 0.1"}, ("'0' for lr", "above 0")),
    ],
)
def test_values_that_cannot_be_run(client, sweep, changes, parts):
    sweep["6"]["inputs"].update(changes)
    fails_with(client, sweep, *parts)


def test_preserve_needs_a_source_prompt(client, sweep):
    sweep["6"]["inputs"].update(setting_1="preserve", values_1="0.5")
    fails_with(client, sweep, "preserve", "source_prompt")


def test_prompts_of_two_clip_losses_are_not_mixed_up(client, sweep):
    sweep["20"] = node("TokenOpt_ClipLoss", **{**sweep["5"]["inputs"], "prompt": "a circle"})
    sweep["21"] = node("TokenOpt_CombineLosses", loss_a=["5", 0], loss_b=["20", 0])
    sweep["6"]["inputs"].update(loss=["21", 0], setting_1="prompt", values_1="a star")
    fails_with(client, sweep, "prompt = a star", "2 with different ones")


def test_a_setting_that_does_not_exist(client, sweep):
    sweep["6"]["inputs"]["setting_1"] = "speed"
    try:
        message = client.run(sweep).error["exception_message"]
    except Exception as refused:  # later ComfyUIs check the choice themselves
        message = str(refused)
    assert "speed" in message
