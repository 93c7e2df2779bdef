"""Graphs that several of the tests here change at will."""

from __future__ import annotations

import pytest

from devtools.comfyui.checks import node

# What asks for the whole image: a prompt that needs no source prompt.
CAPTION = {"prompt": "a large green heart on the left, plain sky background, bright, sharp"}
CAPTION |= {"source_prompt": ""}


@pytest.fixture
def edit(workflow):
    """The shipped text edit by a full caption, 4 steps, its record told by node 40; nodes: 1
    tokenizer, 2 guide, 3 scene, 4 encode, 5 clip loss, 6 optimizer, 7 and 8 save."""
    graph = workflow("text_edit")
    graph["5"]["inputs"].update(crops=2, **CAPTION)
    graph["6"]["inputs"].update(steps=4, preview_every=0, seed=0, token_noise=False)
    graph["40"] = node("Hostile_Digest", value=["6", 5], nonce=0)
    return graph


@pytest.fixture
def scene():
    """1 tokenizer, 2 guide, 3 two scenes: a green star and a green star, large, on sky."""
    attributes = {
        "shape": "star",
        "colour": "green",
        "size": "large",
        "position": "middle",
        "background": "sky",
        "pattern": "plain",
        "light": "bright",
        "focus": "sharp",
    }
    return {
        "1": node("TokenOpt_LoadTokenizer", tokenizer="demo"),
        "2": node("TokenOpt_LoadGuide", model="demo"),
        "3": node("TokenOpt_DemoScene", seed=3, batch_size=2, **attributes),
    }


@pytest.fixture
def sweep(workflow):
    """The shipped text edit by a full caption, with a sweep in place of its optimizer;
    nodes: 1 tokenizer, 2 guide, 3 scene, 4 encode, 5 clip loss, 6 sweep, 7 and 8 save, 9 the
    images, 10 the table."""
    graph = workflow("text_edit")
    graph["5"]["inputs"].update(crops=1, **CAPTION)
    graph["6"] = node(
        "TokenOpt_Sweep",
        tokenizer=["1", 0],
        tokens=["4", 0],
        loss=["5", 0],
        setting_1="lr",
        values_1="0.05; 0.2",
        setting_2="none",
        values_2="",
        steps=3,
        lr=0.1,
        seed=0,
        quantize=True,
        ema_decay=0.0,
        noise_scale=0.0,
        regularize="none",
        reg_weight=0.02,
        reset_every=0,
        keep="last",
    )
    graph["9"] = node("PreviewImage", images=["6", 1])
    graph["10"] = node("Hostile_Digest", value=["6", 2], nonce=0)
    return graph
