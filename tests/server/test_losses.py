"""The loss nodes in a real ComfyUI: what they ask for is what a run then follows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from devtools.comfyui.checks import fails_with, node, pixels, record, succeed

PAGE = Path(__file__).parents[2] / "docs" / "losses.md"


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


@pytest.mark.parametrize(
    ("prompt", "settings", "named"),
    [
        ("a star:1@0-0.5 | a circle:1@0.5-1", {"keep": "best", "target": "-5"}, "keep = best, tar"),
        ("a star:1@0-0.5 | a circle:1@0.5-1", {"patience": 9}, "but patience compares"),
        ("a star:1@0-0.5 | a circle:1@0.5-1", {}, None),
        ("a star:1 | a circle:1", {"keep": "best", "target": "-5"}, None),
    ],
)
def test_settings_that_compare_losses_of_different_prompts(client, edit, prompt, settings, named):
    options = client.object_info()["TokenOpt_OptimizeOptions"]["input"]["required"]
    plain = {name: more.get("default", kind) for name, (kind, more) in options.items()}
    plain |= {"lr_schedule": "constant", "precision": "auto"}
    edit["5"]["inputs"]["prompt"] = prompt
    edit["6"]["inputs"]["keep"] = settings.pop("keep", "average")
    edit["6"]["inputs"]["options"] = ["30", 0]
    edit["30"] = node("TokenOpt_OptimizeOptions", **{**plain, **settings})
    told = succeed(client, edit).outputs["6"]["tokenopt_notes"]
    assert any(named in line for line in told) if named else told == []


def test_null_is_no_negative_prompt(client, edit):
    edit["5"]["inputs"]["negative_prompt"] = None
    assert list(record(succeed(client, edit))["terms"]) == ["clip"]


def test_with_a_source_prompt_the_loss_counts_from_the_start(client, edit):
    edit["5"]["inputs"] |= {"prompt": "a green star", "source_prompt": "a blue square"}
    edit["6"]["inputs"]["token_noise"] = False
    loss = record(succeed(client, edit))["terms"]["clip"]
    assert loss[0] == pytest.approx([0] * len(loss[0]), abs=0.01)
    assert min(loss)[0] < -0.01
    edit["5"]["inputs"]["preserve"] = 0.0
    with_text = record(succeed(client, edit))["terms"]["clip"]
    del edit["5"]["inputs"]["source_prompt"]
    assert record(succeed(client, edit))["terms"]["clip"] == with_text


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("zeppelin xylophone", ("source_prompt", "'zeppelin xylophone'", "no word")),
        ("a star\na ring\na heart", ("source_prompt", "3 lines", "2 images")),
    ],
)
def test_source_prompts_that_cannot_be_read(client, edit, source, parts):
    edit["3"]["inputs"]["batch_size"] = 2
    edit["5"]["inputs"]["source_prompt"] = source
    fails_with(client, edit, *parts)


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


# Images as prompts


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
    assert after > before + 0.05 * 255


def test_weights_of_combine_losses_reach_it(client, edit):
    edit["20"] = node("WarmLoss", weight=1.0)
    edit["21"] = node(
        "TokenOpt_CombineLosses", loss_a=["20", 0], loss_b=["5", 0], weight_a=-2.0, weight_b=0.0
    )
    edit["6"]["inputs"]["loss"] = ["20", 0]
    plain = record(succeed(client, edit))["loss"][0][0]
    edit["6"]["inputs"]["loss"] = ["21", 0]
    assert record(succeed(client, edit))["loss"][0][0] == pytest.approx(-2 * plain, rel=1e-3)


@pytest.mark.parametrize("bypassed", ["loss_a", "loss_b"])
def test_combine_losses_with_one_loss_is_that_loss(client, edit, bypassed):
    combined = node("TokenOpt_CombineLosses", loss_a=["5", 0], loss_b=["5", 0], weight_a=1.0)
    del combined["inputs"][bypassed]  # as the page posts it
    alone = record(succeed(client, edit))
    edit["21"], edit["6"]["inputs"]["loss"] = combined, ["21", 0]
    assert record(succeed(client, edit))["loss"] == alone["loss"]


@pytest.mark.parametrize("template", ["inpaint", "any_size"])
def test_a_template_whose_masked_loss_is_bypassed(client, workflow, template):
    graph = workflow(template)
    (combined,) = (n for n in graph.values() if n["class_type"] == "TokenOpt_CombineLosses")
    bypassed, _ = combined["inputs"].pop("loss_b")
    assert graph.pop(bypassed)["class_type"] == "TokenOpt_MaskedL1Loss"
    for optimizer in (n for n in graph.values() if n["class_type"] == "TokenOpt_Optimize"):
        optimizer["inputs"].update(steps=2)
    succeed(client, graph)


def test_combine_losses_without_any(client, edit):
    edit["21"] = node("TokenOpt_CombineLosses")
    edit["6"]["inputs"]["loss"] = ["21", 0]
    fails_with(client, edit, "loss_a and loss_b are both not connected", "connect one")


def test_a_time_in_a_prompt_is_remarked_where_it_is_typed(client, edit):
    edit["5"]["inputs"]["prompt"] = "a red circle at 12:30"
    said = succeed(client, edit).outputs["5"]["tokenopt_notes"]
    assert any("'a red circle at 12' has the weight 30" in line for line in said)


def test_it_also_chooses_starts(client, edit):
    edit["20"] = node("WarmLoss", weight=1.0)
    start = {"tokenizer": ["1", 0], "seed": 1, "batch_size": 1, "scale": 1.0}
    edit["4"] = node("TokenOpt_RandomTokens", **start, best_of=2, loss=["20", 0])
    edit["6"]["inputs"]["loss"] = ["20", 0]
    succeed(client, edit)


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("one number", ("'one number'", "has shape ()", "(1,)")),
        ("no tensor", ("'no tensor'", "has the type float")),
        ("no loss", ("loss is str", "function")),
    ],
)
def test_losses_that_are_none(client, edit, kind, parts):
    edit["20"] = node("Hostile_OddLoss", kind=kind)
    edit["6"]["inputs"]["loss"] = ["20", 0]
    fails_with(client, edit, *parts)
