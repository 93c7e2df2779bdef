"""Losses with masks, and those of pixels alone, in a real ComfyUI."""

from __future__ import annotations

import numpy as np
import pytest

from devtools.comfyui.checks import fails_with, node, record, succeed


def half_mask(graph) -> None:
    """Nodes 20 to 22: a mask (22) that is white on the left half."""
    graph["20"] = node("SolidMask", value=0.0, width=64, height=64)
    graph["21"] = node("SolidMask", value=1.0, width=32, height=64)
    graph["22"] = node(
        "MaskComposite", destination=["20", 0], source=["21", 0], x=0, y=0, operation="add"
    )


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
