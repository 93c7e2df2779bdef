"""Judge in a real ComfyUI: what it says of scenes, and what it refuses."""

from __future__ import annotations

import re

import pytest

from devtools.comfyui.checks import fails_with, node, succeed, table


def test_the_judge_agrees_with_the_caption(client, scene, server):
    scene["4"] = node("TokenOpt_Judge", image=["3", 0], guide=["2", 0], prompt=["3", 1])
    scene["5"] = node("Hostile_Digest", value=["4", 0], nonce=0)
    run = succeed(client, scene)
    head, *rows = table(run)
    assert head.split() == ["image", "CLIP", "demo", "judge", "verdict"]
    assert len(rows) == 2
    for row in rows:
        assert row.endswith("as asked")
        assert float(row.split()[2]) > 0.5
    assert run.outputs["5"]["digest"][0].splitlines() == [head, *rows]
    assert re.search(
        r"TokenOpt: judged 2 images: CLIP 0\.\d+, demo judge \S+, 2 x as asked", server.log_text()
    )


def test_the_judge_says_what_is_wrong_and_what_has_changed(client, scene):
    prompt = "a small red star:1 | a circle:-0.5"
    scene["6"] = node("TokenOpt_DemoScene", **{**scene["3"]["inputs"], "colour": "red"})
    scene["4"] = node(
        "TokenOpt_Judge", image=["6", 0], guide=["2", 0], prompt=prompt, before=["3", 0]
    )
    head, row, _ = table(succeed(client, scene))
    assert head.split() == ["image", "CLIP", "before", "demo", "judge", "verdict"]
    assert row.endswith("size is large, not small")
    assert float(row.split()[1]) > float(row.split()[2])


def test_what_pleases_nobody_is_no_scene(client, scene):
    scene["6"] = node("EmptyImage", width=64, height=64, batch_size=1, color=0x804020)
    scene["4"] = node("TokenOpt_Judge", image=["6", 0], guide=["2", 0], prompt="a green star")
    assert "probably an adversarial image" in table(succeed(client, scene))[1]


def test_a_prompt_that_the_demo_judge_cannot_read(client, scene):
    scene["4"] = node("TokenOpt_Judge", image=["3", 0], guide=["2", 0], prompt="my cat")
    lines = table(succeed(client, scene))
    assert "nothing that the demo judge knows" in lines[1]
    assert any(line.startswith("note: guide demo does not know") for line in lines)


@pytest.mark.parametrize(
    ("inputs", "parts"),
    [
        ({"prompt": " \n"}, ("prompt is empty",)),
        ({"prompt": "a\nb\nc"}, ("prompt has 3 lines for 2 images",)),
        ({"prompt": "a star:-1"}, ("asks for nothing", "above 0")),
        ({"before": ["7", 0]}, ("before has 3 images and image has 2",)),
    ],
)
def test_judge_bad_input(client, scene, inputs, parts):
    scene["7"] = node("RepeatImageBatch", image=["8", 0], amount=3)
    scene["8"] = node("ImageFromBatch", image=["3", 0], batch_index=0, length=1)
    inputs = {"image": ["3", 0], "guide": ["2", 0], "prompt": "a star", **inputs}
    scene["4"] = node("TokenOpt_Judge", **inputs)
    fails_with(client, scene, *parts)
