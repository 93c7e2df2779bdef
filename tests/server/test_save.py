"""Save Image with Record in a real ComfyUI: every file tells how it was made."""

from __future__ import annotations

import json
import re
from datetime import datetime

import pytest

from devtools.comfyui.checks import fails_with, node, succeed


@pytest.fixture
def saved(scene, workflow):
    """Two images optimized for two steps and saved with their record by node 9."""
    scene["4"] = node("TokenOpt_Encode", tokenizer=["1", 0], image=["3", 0])
    scene["5"], scene["6"] = (workflow("text_edit")[number] for number in ("5", "6"))
    scene["6"]["inputs"].update(steps=2, seed=20, preview_every=0)
    scene["9"] = node(
        "TokenOpt_SaveImage", images=["6", 0], record=["6", 5], filename_prefix="kept/%width%_test"
    )
    return scene


def test_each_file_carries_prompt_and_its_own_record(client, server, saved):
    run = succeed(client, saved)
    images = client.images(run, "9")
    files = run.outputs["9"]["images"]
    assert [file["subfolder"] for file in files] == ["kept", "kept"]
    assert files[0]["filename"].startswith("64_test_")
    assert (server.base / "output" / "kept" / files[1]["filename"]).is_file()
    for k, image in enumerate(images):
        record = json.loads(image.text["tokenopt"])
        assert record["image"] == k
        assert record["seeds"] == [20 + k]
        assert [len(row) for row in record["terms"]["clip"]] == [1, 1]
        assert json.loads(image.text["prompt"])["6"]["inputs"]["seed"] == 20
    first, second = (json.loads(image.text["tokenopt"]) for image in images)
    assert first["loss"] != second["loss"]


def test_nothing_is_overwritten(client, saved):
    names = []
    for prefix in ("kept/counter", "kept/%year%", "kept/counter"):
        saved["9"]["inputs"]["filename_prefix"] = prefix
        run = succeed(client, saved)
        names += [file["filename"] for file in run.outputs.get("9", {"images": []})["images"]]
    assert len(names) == len(set(names)) == 6


@pytest.mark.parametrize(
    "record",
    [
        {"seeds": 5, "loss": [1]},
        {"seeds": [1, 2], "loss": [1], "terms": {"a": 3}, "stopped": "no"},
        {"seeds": [1, 2], "terms": [3], "penalty": None},
    ],
)
def test_any_json_object_is_kept(client, scene, record):
    scene["9"] = node(
        "TokenOpt_SaveImage",
        images=["3", 0],
        record=json.dumps(record),
        filename_prefix="kept/any",
    )
    first, _ = client.images(succeed(client, scene), "9")
    kept = json.loads(first.text["tokenopt"])
    assert kept == {**record, "seeds": kept["seeds"], "image": 0}


@pytest.mark.parametrize(
    ("inputs", "parts"),
    [
        ({"record": "no json"}, ("record is 'no json'", "JSON object")),
        ({"record": "[1]"}, ("record is '[1]'",)),
        ({"record": "{}", "filename_prefix": "../escaped"}, ("filename_prefix", "output folder")),
        ({"record": "{}", "filename_prefix": "/etc/x"}, ("filename_prefix", "output folder")),
        ({"filename_prefix": "x/.hidden"}, ("filename_prefix is 'x/.hidden'", "a dot")),
        ({"record": "{}", "filename_prefix": ""}, ("filename_prefix is ''",)),
        ({"record": "{}", "filename_prefix": "x/" + "é" * 100}, ("102 characters", "180 bytes")),
        ({"record": "[" * 100_000}, ("record is '[[[", "JSON object")),
    ],
)
def test_save_bad_input(client, scene, inputs, parts):
    inputs = {"images": ["3", 0], "filename_prefix": "kept/bad", **inputs}
    scene["9"] = node("TokenOpt_SaveImage", **inputs)
    fails_with(client, scene, *parts)


SAVERS = ("TokenOpt_SaveImage", "TokenOpt_SaveTokens", "TokenOpt_SaveAttribute")


@pytest.fixture
def saver(scene):
    """The kind of a node that saves, and a prefix -> a graph in which node 9 does so."""
    scene["4"] = node("TokenOpt_Encode", tokenizer=["1", 0], image=["3", 0])
    scene["6"] = node("TokenOpt_DemoScene", **{**scene["3"]["inputs"], "light": "dark"})
    scene["7"] = node("TokenOpt_Encode", tokenizer=["1", 0], image=["6", 0])
    tokens = {"tokens_with": ["4", 0], "tokens_without": ["7", 0], "name_with": "bright"}
    scene["5"] = node("TokenOpt_AttributeVector", tokenizer=["1", 0], **tokens)
    sources = {
        "TokenOpt_SaveImage": {"images": ["3", 0]},
        "TokenOpt_SaveTokens": {"tokenizer": ["1", 0], "tokens": ["4", 0]},
        "TokenOpt_SaveAttribute": {"attribute": ["5", 0]},
    }
    return lambda kind, prefix: {**scene, "9": node(kind, **sources[kind], filename_prefix=prefix)}


@pytest.mark.parametrize("wired", [False, True])
@pytest.mark.parametrize("kind", SAVERS)
def test_a_date_in_the_name_is_filled_in_without_a_page(client, server, saver, kind, wired):
    prefix = f"%date:yyyy/MM-dd%/%year%_{kind}_{wired}_%date:hh:mm:ss%"
    graph = saver(kind, ["10", 0] if wired else prefix)
    graph["10"] = node("PrimitiveString", value=prefix)
    before = datetime.now()
    succeed(client, graph)
    days = {f"{day:%Y/%m-%d}" for day in (before, datetime.now())}  # it may be midnight
    found = [f for day in days for f in (server.base / "output" / day).glob(f"*{kind}_{wired}*")]
    assert found
    assert all(re.match(rf"\d{{4}}_{kind}_{wired}_\d\d_\d\d_\d\d_", file.name) for file in found)


def test_the_size_of_what_tokens_decode_to_is_in_their_name(client, saver):
    run = succeed(client, saver("TokenOpt_SaveTokens", "kept/%width%x%height%"))
    assert "saved kept/64x64_" in run.outputs["9"]["tokenopt_notes"][0]


def test_an_attribute_has_no_size(client, saver):
    parts = ("filename_prefix is 'kept/%width%'", "no %width%", "leave them out")
    fails_with(client, saver("TokenOpt_SaveAttribute", "kept/%width%"), *parts)


@pytest.mark.parametrize("kind", SAVERS)
def test_no_date_leads_out_of_the_output_folder(client, saver, kind):
    graph = saver(kind, "%date:../../x%")
    fails_with(client, graph, "filename_prefix is '../../x'", "output folder")
