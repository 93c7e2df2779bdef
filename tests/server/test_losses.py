"""The loss nodes in a real ComfyUI: what they ask for is what a run then follows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from devtools.checks import fails_with, node, succeed

STEPS = 4
PAGE = Path(__file__).parents[2] / "docs" / "losses.md"


@pytest.fixture
def edit(workflow):
    """The shipped text edit, short, its record told by node 40; see test_nodes.py for the rest."""
    graph = workflow("text_edit")
    graph["5"]["inputs"].update(crops=2)
    graph["6"]["inputs"].update(steps=STEPS, preview_every=0, seed=0, token_noise=False)
    graph["40"] = node("Hostile_Digest", value=["6", 5], nonce=0)
    return graph


def record(run, number: str = "40") -> dict:
    return json.loads(run.outputs[number]["digest"][0])


def pixels(client, run, number: str = "8") -> np.ndarray:
    """(b, h, w, 3) from 0 to 1."""
    return np.stack([np.asarray(i.convert("RGB")) for i in client.images(run, number)]) / 255


def half_mask(graph, **more) -> None:
    """Nodes 20 to 22: a mask (22) that is white on the left half."""
    graph["20"] = node("SolidMask", value=0.0, width=64, height=64)
    graph["21"] = node("SolidMask", value=1.0, width=32, height=64)
    graph["22"] = node(
        "MaskComposite", destination=["20", 0], source=["21", 0], x=0, y=0, operation="add"
    )


# Prompts


def test_parts_of_a_prompt_are_curves_of_their_own(client, edit):
    edit["5"]["inputs"]["prompt"] = "a green star:1 | dark:-0.4 | a circle:0.5@0.5-1"
    terms = record(succeed(client, edit))["terms"]
    assert list(terms) == ["clip: a green star", "clip: dark", "clip: a circle"]
    assert [value[0] != 0 for value in terms["clip: a circle"]] == [False, False, True, True]
    assert terms["clip: a green star"][-1] < terms["clip: a green star"][0]


def test_lines_are_one_prompt_for_one_image(client, edit):
    edit["5"]["inputs"]["prompt"] = "a green star in the middle,\n\nplain sky background"
    lines = record(succeed(client, edit))
    edit["5"]["inputs"]["prompt"] = "a green star in the middle, plain sky background"
    assert lines["loss"] == record(succeed(client, edit))["loss"]


def test_each_image_has_a_prompt_of_its_own(client, edit):
    edit["3"]["inputs"]["batch_size"] = 2
    edit["5"]["inputs"]["prompt"] = "a green star:1 | dark:-0.4\na blue circle"
    both = record(succeed(client, edit))["loss"]
    edit["3"]["inputs"]["batch_size"] = 1
    edit["5"]["inputs"]["prompt"] = "a green star:1 | dark:-0.4"
    alone = record(succeed(client, edit))["loss"]
    assert [row[0] for row in both] == pytest.approx([row[0] for row in alone], abs=1e-4)


def test_the_node_shows_what_the_guide_cannot_read(client, edit):
    edit["5"]["inputs"]["prompt"] = "a green zeppelin, " + "bright, " * 60
    run = succeed(client, edit)
    for number in ("5", "6"):
        told = " ".join(run.outputs[number]["tokenopt_notes"])
        assert '"zeppelin"' in told
        assert "its end is ignored" in told


def test_a_prompt_without_remarks_shows_none(client, edit):
    assert succeed(client, edit).outputs["5"]["tokenopt_notes"] == []


def test_null_is_no_negative_prompt(client, edit):
    edit["5"]["inputs"]["negative_prompt"] = None
    assert list(record(succeed(client, edit))["terms"]) == ["clip"]


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("zeppelin xylophone", ("knows no word", "'zeppelin xylophone'", "demo")),
        ("a star | zeppelin:-0.4", ("knows no word", "'zeppelin'")),
        ("a star:2000", ("2000", "1000")),
        ("a star:1@0.5", ("range", "'0.5'")),
        ("a star:0,5", ("comma", "point")),
        ("a star | :2", ("without text",)),
        ("a star:1\na circle:1", ("new line", "'a star:1'", "|")),
    ],
)
def test_prompts_that_cannot_be_read(client, edit, prompt, parts):
    edit["5"]["inputs"]["prompt"] = prompt
    fails_with(client, edit, *parts)


def test_weight_zero_runs_no_clip(client, edit):
    edit["5"]["inputs"]["weight"] = 0.0
    edit["20"] = node("WarmLoss", weight=1.0)
    edit["21"] = node("TokenOpt_CombineLosses", loss_a=["5", 0], loss_b=["20", 0])
    edit["6"]["inputs"]["loss"] = ["21", 0]
    told = record(succeed(client, edit))
    assert list(told["terms"]) == ["warm"]
    assert told["guides"] == []


def test_nothing_but_weights_of_zero(client, edit):
    edit["5"]["inputs"]["weight"] = 0.0
    fails_with(client, edit, "weight 0", "nothing to optimize")


# Images as prompts, masks, pixels


@pytest.fixture
def image_prompt(edit):
    edit["19"] = node("TokenOpt_DemoScene", **edit["3"]["inputs"])
    edit["19"]["inputs"].update(colour="green", background="sand")
    edit["20"] = node(
        "TokenOpt_ImagePromptLoss",
        guide=["2", 0],
        image=["19", 0],
        random_crops=False,
        crops=2,
        weight=1.0,
        mirror=True,
    )
    edit["6"]["inputs"].update(loss=["20", 0], steps=20, lr=0.1)
    return edit


def test_image_prompt_comes_closer(client, image_prompt):
    loss = record(succeed(client, image_prompt))["terms"]["clip image"]
    assert min(loss)[0] < loss[0][0] - 0.05


def test_negative_weight_leaves_the_image(client, image_prompt):
    image_prompt["20"]["inputs"]["weight"] = -1.0
    loss = record(succeed(client, image_prompt))["terms"]["clip image"]
    assert loss[0][0] > 0
    assert min(loss)[0] < loss[0][0] - 0.05


def test_images_as_prompts_must_match_the_batch(client, image_prompt):
    image_prompt["19"]["inputs"]["batch_size"] = 3
    fails_with(client, image_prompt, "image of Image Prompt Loss has a batch of 3", "1 images")


def test_norm_and_feather_change_the_masked_loss(client, edit):
    half_mask(edit)
    edit["6"]["inputs"]["loss"] = ["23", 0]
    first = {}
    for norm, feather in (("L1", 0), ("L2", 0), ("L1", 32)):
        edit["23"] = node(
            "TokenOpt_MaskedL1Loss",
            image=["3", 0],
            mask=["22", 0],
            weight=1.0,
            norm=norm,
            feather=feather,
        )
        terms = record(succeed(client, edit))["terms"]
        assert list(terms) == [norm.lower()]
        first[norm, feather] = terms[norm.lower()][0][0]
    assert 0 < first["L2", 0] < first["L1", 0]
    assert first["L1", 32] != first["L1", 0]


@pytest.mark.parametrize(("node_id", "value"), [("MaskedL1Loss", 1.0), ("MaskedComposite", 0.0)])
def test_masks_that_hide_everything_or_nothing(client, edit, node_id, value):
    edit["22"] = node("SolidMask", value=value, width=64, height=64)
    more = {"weight": 1.0} if node_id == "MaskedL1Loss" else {"loss": ["5", 0]}
    name = f"TokenOpt_{node_id}"
    edit["23"] = node(name, image=["3", 0], mask=["22", 0], feather=0, **more)
    edit["6"]["inputs"]["loss"] = ["23", 0]
    fails_with(client, edit, f"mask is {value:g} everywhere", "Invert")


def test_unknown_norm_and_masks_with_channels(client, edit):
    half_mask(edit)
    edit["23"] = node(
        "TokenOpt_MaskedL1Loss", image=["3", 0], mask=["22", 0], weight=1.0, norm="L3"
    )
    edit["6"]["inputs"]["loss"] = ["23", 0]
    try:
        fails_with(client, edit, "norm", "'L3'")
    except Exception as refused:  # later ComfyUIs check it themselves
        assert "value_not_in_list" in str(refused)  # noqa: PT017
    edit["23"]["inputs"].update(norm="L1", mask=["24", 0])
    edit["24"] = node("Hostile_OddMask", mask=["22", 0])
    fails_with(client, edit, "mask has shape (1, 64, 64, 1)")


def test_masked_composite_sees_the_original_outside(client, edit):
    half_mask(edit)
    first = {}
    for name, mask in (("half", ["22", 0]), ("whole", ["23", 0])):
        edit["23"] = node("SolidMask", value=1.0, width=64, height=64)
        edit["24"] = node(
            "TokenOpt_MaskedComposite", loss=["5", 0], image=["19", 0], mask=mask, feather=0
        )
        edit["19"] = node("TokenOpt_DemoScene", **{**edit["3"]["inputs"], "background": "rose"})
        edit["6"]["inputs"]["loss"] = ["24", 0]
        first[name] = record(succeed(client, edit))["loss"][0][0]
    edit["6"]["inputs"]["loss"] = ["5", 0]
    plain = record(succeed(client, edit))["loss"][0][0]
    assert first["whole"] == pytest.approx(plain, abs=1e-5)
    assert abs(first["half"] - plain) > 0.005


def test_total_variation_smooths(client, edit):
    edit["20"] = node("TokenOpt_PixelPenalty", total_variation=1.0, range=0.0)
    edit["6"]["inputs"].update(loss=["20", 0], steps=15)
    curve = record(succeed(client, edit))["terms"]["total variation"]
    assert curve[-1][0] < 0.8 * curve[0][0]


def test_range_counts_without_clamp_and_says_so(client, edit):
    edit["20"] = node("TokenOpt_PixelPenalty", total_variation=0.0, range=1.0)
    edit["21"] = node("TokenOpt_CombineLosses", loss_a=["5", 0], loss_b=["20", 0], weight_b=3.0)
    edit["6"]["inputs"]["loss"] = ["21", 0]
    run = succeed(client, edit)
    assert not np.any(record(run)["terms"]["range"])
    assert "clamp" in run.outputs["20"]["tokenopt_notes"][0]
    options = client.object_info()["TokenOpt_OptimizeOptions"]["input"]["required"]
    settings = {name: given[1].get("default", given[0]) for name, given in options.items()}
    settings |= {"clamp": False, "lr_schedule": "constant", "precision": "auto"}
    edit["30"] = node("TokenOpt_OptimizeOptions", **settings)
    edit["6"]["inputs"]["options"] = ["30", 0]
    assert np.max(record(succeed(client, edit))["terms"]["range"]) > 0


def test_a_penalty_of_nothing(client, edit):
    edit["20"] = node("TokenOpt_PixelPenalty", total_variation=0.0, range=0.0)
    edit["6"]["inputs"]["loss"] = ["20", 0]
    fails_with(client, edit, "total_variation and range are both 0")


# Losses of other packs


def test_the_pack_of_the_page_is_the_one_that_is_tested():
    text = PAGE.read_text(encoding="utf-8")
    (section,) = re.findall(r"^## In ComfyUI\n(.*?)(?=^## |\Z)", text, flags=re.S | re.M)
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.S)
    pack = Path(__file__).parent / "warm_loss" / "__init__.py"
    assert pack.read_text(encoding="utf-8") == code


def test_a_loss_of_another_pack(client, edit):
    edit["20"] = node("WarmLoss", weight=0.5)
    edit["6"]["inputs"].update(loss=["20", 0], steps=20)
    run = succeed(client, edit)
    assert list(record(run)["terms"]) == ["warm"]
    before, after = (
        picture[..., 0].mean() - picture[..., 2].mean()
        for picture in (pixels(client, run, "7"), pixels(client, run, "8"))
    )
    assert after > before + 0.05


def test_weights_of_combine_losses_reach_it(client, edit):
    edit["20"] = node("WarmLoss", weight=1.0)
    edit["21"] = node(
        "TokenOpt_CombineLosses", loss_a=["20", 0], loss_b=["5", 0], weight_a=-2.0, weight_b=0.0
    )
    edit["6"]["inputs"]["loss"] = ["20", 0]
    plain = record(succeed(client, edit))["loss"][0][0]
    edit["6"]["inputs"]["loss"] = ["21", 0]
    assert record(succeed(client, edit))["loss"][0][0] == pytest.approx(-2 * plain, rel=1e-3)


def test_it_also_chooses_starts(client, edit):
    edit["20"] = node("WarmLoss", weight=1.0)
    start = {"tokenizer": ["1", 0], "seed": 1, "batch_size": 1, "scale": 1.0}
    edit["4"] = node("TokenOpt_RandomTokens", **start, best_of=2, loss=["20", 0])
    edit["6"]["inputs"]["loss"] = ["20", 0]
    succeed(client, edit)


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("one number", ("'one number'", "gave ()", "(1,)")),
        ("no tensor", ("'no tensor'", "gave float")),
        ("no loss", ("loss is str", "function")),
    ],
)
def test_losses_that_are_none(client, edit, kind, parts):
    edit["20"] = node("Hostile_OddLoss", kind=kind)
    edit["6"]["inputs"]["loss"] = ["20", 0]
    fails_with(client, edit, *parts)
