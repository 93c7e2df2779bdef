"""Captions: what a text-aware tokenizer decodes with, in every node that decodes."""

from __future__ import annotations

import json

import pytest

from devtools.comfyui.checks import fails_with, node, pixels, record, succeed
from tests.server.neighbours import calls
from tests.server.test_bad_input import save_tiny

# Of the caption encoder that the test server has: a copy of the demo guide.
AWARE = {"layout": "tatitok", "codebook_size": 64, "text_length": 32, "text_size": 128}
DECODE = {"Decode", "Inspect", "Optimize", "Sweep", "PixelInfluence", "PerturbSearch"}
DECODE |= {"EasyTextEdit", "EasyInpaint"}
ON_REQUEST = {"RandomTokens", "Importance"}  # where a setting asks for images


@pytest.fixture
def aware(server):
    """Loads a text-aware tokenizer with random weights, a scene's tokens and two captions; nodes: 1
    tokenizer, 2 guide, 3 scenes, 4 tokens, 70 caption encoder, 71 and 72 captions."""

    def make(scene, **details):
        save_tiny(server, "aware", 0.15, **AWARE | details)
        encoder = {"caption_encoder": ["70", 0]}
        scene["1"]["inputs"]["tokenizer"] = "aware"
        return scene | {
            "4": node("TokenOpt_Encode", tokenizer=["1", 0], image=["3", 0]),
            "70": node("TokenOpt_LoadCaptionEncoder", model="captions"),
            "71": node("TokenOpt_Caption", **encoder, text="a large green star on the left"),
            "72": node("TokenOpt_Caption", **encoder, text="dark"),
        }

    return make


def decoded(caption: str) -> dict:
    return node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["4", 0], caption=[caption, 0])


KINDS = [{}, {"kind": "vae", "codebook_size": None}]


@pytest.mark.parametrize("details", KINDS, ids=["vq", "vae"])
def test_an_image_depends_on_its_caption(client, scene, aware, details):
    graph = aware(scene, **details)
    for caption in ("71", "72"):
        graph |= {f"8{caption}": decoded(caption)}
        graph |= {f"9{caption}": node("PreviewImage", images=[f"8{caption}", 0])}
    run = succeed(client, graph)
    first, second = (pixels(client, run, f"9{caption}").astype(int) for caption in ("71", "72"))
    assert first.shape == second.shape == (2, 32, 32, 3)
    assert abs(first - second).max() > 2


def test_every_node_that_decodes_takes_a_caption_as_its_last_input(client):
    infos = client.object_info()
    taking = {}
    for name, info in infos.items():
        inputs = [*info["input"].get("required", {}), *info["input"].get("optional", {})]
        if "caption" in inputs:
            taking[name.removeprefix("TokenOpt_")] = inputs[-1]
    assert taking == dict.fromkeys(DECODE | ON_REQUEST, "caption")


def called(client, edit, server, caption: list | None, **details):
    """The calls of all nodes with a text-aware tokenizer, as they are and each socket spoilt."""
    save_tiny(server, "aware", 0.15, **AWARE | details)
    more = {
        "85": node("TokenOpt_LoadTokenizer", tokenizer="aware"),
        "86": node("TokenOpt_Encode", tokenizer=["85", 0], image=["3", 0]),
        "88": node("TokenOpt_Caption", caption_encoder=["87", 0], text="a red star"),
    }
    given = {"TOKENOPT_TOKENIZER": ["85", 0], "TOKENOPT_TOKENS": ["86", 0]}
    given |= {"TOKENOPT_CAPTION": caption} if caption else {}
    return calls(client, edit, "TOKENOPT_CAPTION", more=more, given=given)


def test_all_nodes_work_with_a_caption_and_refuse_what_is_none(client, edit, server):
    made = called(client, edit, server, ["88", 0])
    whole = {call.node.removeprefix("TokenOpt_"): call for call in made if not call.input}
    assert {name: whole[name].message for name in DECODE | {"RandomTokens"}} == dict.fromkeys(
        DECODE | {"RandomTokens"}, ""
    )
    spoilt = [call for call in made if call.input]
    assert all(call.sound for call in spoilt if "Importance" not in call.node), spoilt
    refused = {call.case for call in spoilt if call.node == "TokenOpt_Decode" and call.error}
    accepted = {call.case for call in spoilt if call.node == "TokenOpt_Decode"} - refused
    assert accepted == {"half", "inference"}


def test_without_a_caption_of_that_size_whatever_decodes_says_so(client, edit, server):
    made = called(client, edit, server, None)
    words = "caption is missing, and the empty one of 'ViT-L-14-336/openai' has 77 x 768"
    found = {call.node.removeprefix("TokenOpt_") for call in made if words in call.message}
    assert found == DECODE
    sizes = [call.message for call in made if call.node == "TokenOpt_Decode" and not call.input]
    assert "'aware' decodes with 32 x 128; connect a Caption" in sizes[0]


def test_a_run_decodes_with_its_caption_and_records_it(client, edit, aware):
    edit = aware(edit)
    edit["6"]["inputs"].update(caption=["71", 0], steps=8, lr=0.3)
    run = succeed(client, edit)
    told = json.loads(run.outputs["6"]["tokenopt"][0])
    assert record(run)["caption"] == "a large green star on the left"
    again = edit | {
        "8": node("PreviewImage", images=["6", 0]),
        "9": node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["6", 1], caption=["71", 0]),
        "10": node("PreviewImage", images=["9", 0]),
    }
    shown = succeed(client, again)
    assert (pixels(client, shown, "8") == pixels(client, shown, "10")).all()
    edit["6"]["inputs"]["caption"] = ["72", 0]
    other = json.loads(succeed(client, edit).outputs["6"]["tokenopt"][0])
    assert other["loss_first"] != told["loss_first"]


def test_the_sweep_and_random_starts_decode_with_it(client, sweep, aware):
    sweep = aware(sweep)
    sweep["4"] = node(
        "TokenOpt_RandomTokens",
        tokenizer=["1", 0],
        seed=3,
        batch_size=1,
        scale=1.0,
        best_of=3,
        loss=["5", 0],
        caption=["71", 0],
    )
    sweep["6"]["inputs"]["caption"] = ["71", 0]
    assert pixels(client, succeed(client, sweep), "9").shape == (2, 32, 32, 3)


def test_a_caption_where_none_is_read(client, scene, aware):
    graph = aware(scene)
    graph["1"]["inputs"]["tokenizer"] = "demo"
    graph |= {"81": decoded("71"), "91": node("PreviewImage", images=["81", 0])}
    fails_with(client, graph, "caption is connected", "'demo' decodes without one")


def test_a_caption_of_another_encoder(client, scene, aware):
    graph = aware(scene, text_length=16)
    graph |= {"81": decoded("71"), "91": node("PreviewImage", images=["81", 0])}
    fails_with(client, graph, "caption of 'captions' has 32 x 128", "decodes with 16 x 128")


def test_what_the_encoder_cannot_read_is_told(client, scene, aware):
    graph = aware(scene)
    graph["71"]["inputs"]["text"] = "a hippopotamus"
    graph |= {"81": decoded("71"), "91": node("PreviewImage", images=["81", 0])}
    (note,) = succeed(client, graph).outputs["71"]["tokenopt_notes"]
    assert 'caption encoder captions does not know "hippopotamus"' in note


@pytest.mark.parametrize("activation", ["gelu", "quick gelu"])
def test_the_activation_is_the_one_that_is_chosen(client, scene, aware, activation):
    graph = aware(scene)
    graph["70"]["inputs"]["activation"] = activation
    graph |= {"81": decoded("71"), "91": node("PreviewImage", images=["81", 0])}
    chosen = pixels(client, succeed(client, graph), "91")
    graph["70"]["inputs"]["activation"] = "as trained"
    trained = pixels(client, succeed(client, graph), "91")
    assert (chosen == trained).all() == (activation == "gelu")
