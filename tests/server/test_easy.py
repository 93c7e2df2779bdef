"""Easy Text Edit and Easy Inpaint: a picture of any size in, the same size out."""

from __future__ import annotations

import json

import numpy as np
import pytest
import requests

from devtools.comfyui.checks import fails_with, node, pixels, succeed
from devtools.comfyui.client import Event

ATTRIBUTES = {"shape": "circle", "colour": "red", "size": "large", "position": "middle"}
ATTRIBUTES |= {"background": "sky", "pattern": "plain", "light": "bright", "focus": "sharp"}
STAR = "a large green star in the middle, plain sky background, bright, sharp"
SHORT = {"models": "demo", "steps": 4, "tries": 2, "seed": 0}
EDIT, INPAINT = {"fit": "stretch"}, {"margin": 10}


def at_step(step: int, action):
    """An event handler that acts once, when node 4 has made so many steps."""

    def handle(event: Event) -> None:
        if event.kind == "progress" and event.node == "4" and event.data["value"] == step:
            action()

    return handle


@pytest.fixture
def graph():
    """2 one scene, 3 three of them side by side, 5 a mask on the middle one; 4 is free, 8 saves it,
    9 tells its record."""
    scene = node("TokenOpt_DemoScene", seed=3, batch_size=1, **ATTRIBUTES)
    stitch = {"direction": "right", "match_image_size": True, "spacing_width": 0}
    stitch |= {"spacing_color": "white"}
    return {
        "2": scene,
        "21": node("ImageStitch", image1=["2", 0], image2=["2", 0], **stitch),
        "3": node("ImageStitch", image1=["21", 0], image2=["2", 0], **stitch),
        "22": node("SolidMask", value=0.0, width=192, height=64),
        "23": node("SolidMask", value=1.0, width=36, height=40),
        "5": node(
            "MaskComposite", destination=["22", 0], source=["23", 0], x=78, y=12, operation="add"
        ),
        "8": node("SaveImage", images=["4", 0], filename_prefix="easy"),
        "9": node("Hostile_Digest", value=["4", 1], nonce=0),
    }


def easy_edit(image, **more):
    return node("TokenOpt_EasyTextEdit", image=image, prompt=STAR, **{**SHORT, **EDIT, **more})


def easy_inpaint(image, mask, **more):
    inputs = {**SHORT, **INPAINT, **more}
    return node("TokenOpt_EasyInpaint", image=image, mask=mask, prompt=STAR, **inputs)


def report(run) -> dict:
    return json.loads(run.outputs["4"]["tokenopt"][0])


def test_inpainting_changes_nothing_beside_the_mask(client, graph):
    """To the last bit, not only to the eye; and the tries are one batch, whose best is taken."""
    graph["4"] = easy_inpaint(["3", 0], ["5", 0])
    for number, x, width in (("30", 0, 72), ("31", 120, 72)):
        for source, image in (("3", ["3", 0]), ("4", ["4", 0])):
            crop = f"{number}{source}"
            graph[crop] = node("ImageCrop", image=image, width=width, height=64, x=x, y=0)
            graph[f"4{crop}"] = node("Hostile_Digest", value=[crop, 0], nonce=0)
    run = succeed(client, graph)
    assert run.outputs["4303"] == run.outputs["4304"]
    assert run.outputs["4313"] == run.outputs["4314"]
    (result,) = pixels(client, run)
    assert result.shape == (64, 192, 3)
    assert np.abs(result[20:44, 82:110].astype(int) - result[20:44, 18:46]).mean() > 4
    told, record = report(run), json.loads(run.outputs["9"]["digest"][0])
    assert told["steps"] == 4
    assert len(told["loss_last"]) == 2
    assert len(set(record["seeds"])) == 2
    assert list(record["terms"]) == ["clip", "l1"]
    assert run.previews[-1].image.size == (512, 256)  # both tries
    losses = np.mean(record["loss"], axis=0)  # over all of the four steps: less than its ten
    graph["4"] = easy_inpaint(["3", 0], ["5", 0], tries=1, seed=record["seeds"][losses.argmin()])
    alone = pixels(client, succeed(client, graph))[0]
    assert np.abs(alone.astype(int) - result).mean() < 0.5


def test_one_try_is_what_the_parts_would_have_done(client, graph):
    """With models of load nodes, too; the batch's lines, and its images, go each their own way."""
    graph["4"] = easy_edit(["6", 0], tries=1)
    graph["6"] = node("RepeatImageBatch", image=["2", 0], amount=2)
    source = {"source_prompt": "a large red circle\na ring", "preserve": 0.6}
    graph["4"]["inputs"] |= source | {"prompt": f"{STAR}\na small red ring on the left, dark"}
    graph["10"] = node("TokenOpt_LoadTokenizer", tokenizer="demo")
    graph["11"] = node("TokenOpt_LoadGuide", model="demo")
    connected = {"tokenizer": ["10", 0], "guide": ["11", 0]}
    graph["12"] = node("TokenOpt_EasyTextEdit", **graph["4"]["inputs"], **connected)
    graph["13"] = node("TokenOpt_Encode", tokenizer=["10", 0], image=["6", 0])
    asked = {"prompt": graph["4"]["inputs"]["prompt"], "negative_prompt": ""}
    asked |= {"random_crops": True, "crops": 4, "mirror": False}
    asked |= {"weight": 1.0, "negative_weight": 0.5}
    asked |= source
    graph["14"] = node("TokenOpt_ClipLoss", guide=["11", 0], **asked)
    settings = {"steps": 4, "lr": 0.3, "seed": 0, "quantize": True, "ema": True, "ema_decay": 0.95}
    settings |= {"token_noise": True, "noise_scale": 0.6, "regularize": "none", "reg_weight": 0.0}
    graph["15"] = node("TokenOpt_Optimize", tokenizer=["10", 0], tokens=["13", 0], loss=["14", 0],
                       reset_every=0, preview_every=0, options=["16", 0], **settings)  # fmt: skip
    options = {"lr_schedule": "cosine", "warmup": 0, "max_grad_norm": 0.0, "locked": ""}
    options |= {"patience": 0, "min_gain": 0.001, "target": "", "seconds": 0.0, "clamp": True}
    options |= {"precision": "auto", "warm_restart": False, "trajectory_frames": 0}
    graph["16"] = node("TokenOpt_OptimizeOptions", **options)
    for number, origin in (("30", "4"), ("31", "12"), ("32", "15")):
        graph[number] = node("Hostile_Digest", value=[origin, 0], nonce=0)
    run = succeed(client, graph)
    assert run.outputs["30"] == run.outputs["31"] == run.outputs["32"]
    first, second = pixels(client, run)
    assert (first != second).any()


def test_what_the_image_shows_is_read_from_it(client, graph):
    graph["4"] = easy_edit(["2", 0], tries=1, steps=6)
    asked = graph["4"]["inputs"] | {"prompt": "a green star"}
    for number, more in (
        ("30", {}),
        ("31", {"source_prompt": "a red circle", "preserve": 1.0}),
        ("32", {"source_prompt": "a blue star"}),
        ("33", {"preserve": 0.0}),
    ):
        graph["1" + number] = node("TokenOpt_EasyTextEdit", **asked | more)
        graph[number] = node("Hostile_Digest", value=["1" + number, 0], nonce=0)
    outputs = succeed(client, graph).outputs
    assert outputs["30"] == outputs["31"]
    assert len({str(outputs[number]) for number in ("31", "32", "33")}) == 3


def test_stop_keeps_the_result_and_cancel_does_not(client, server, graph):
    graph["4"] = easy_edit(["3", 0], steps=5000, seed=70)

    def stop():
        requests.post(f"{server.url}/tokenopt/stop", json={"node_id": "4"}, timeout=30)

    run = client.run(graph, on_event=at_step(3, stop))
    assert run.status == "success", run.error
    assert client.images(run, "8")[0].size == (192, 64)
    assert report(run)["stopped_by_user"]
    assert "stopped by the user" in " ".join(run.outputs["4"]["tokenopt_notes"])
    graph["4"]["inputs"]["seed"] = 71
    run = client.run(graph, on_event=at_step(3, client.interrupt))
    assert run.status == "interrupted"
    assert not run.progress("8")


def test_models_stay_until_comfyui_unloads_them(client, server, graph):
    graph["4"] = easy_edit(["2", 0], steps=1, tries=1)

    def loads() -> int:
        return server.log_text().count("TokenOpt: loaded demo")

    succeed(client, graph)
    before = loads()
    graph["4"]["inputs"]["prompt"] = "a small red ring on the left"
    succeed(client, graph)
    assert loads() == before
    client.free()
    graph["4"]["inputs"]["prompt"] = "a small blue ring on the left"
    succeed(client, graph)
    assert loads() == before + 2


def test_models_that_are_not_there(client, graph):
    """The tests' server may not download."""
    graph["4"] = easy_edit(["2", 0], models="photos")
    run = client.run(graph)
    assert run.status == "error"
    assert "titok-l32" in run.error["exception_message"]


def test_a_picture_that_the_demo_models_do_not_know(client, graph):
    graph["4"] = easy_edit(["6", 0], steps=1, tries=1)
    graph["6"] = node("EmptyImage", width=80, height=60, batch_size=1, color=0xFFFFFF)
    (note,) = succeed(client, graph).outputs["4"]["tokenopt_notes"]
    assert "set models to photos" in note


def test_a_hole_that_arrives_black_makes_no_picture_unknown(client, graph):
    """Newer mask editors blacken what is painted; what is beside it says what picture it is."""
    graph["6"] = node("EmptyImage", width=36, height=40, batch_size=1, color=0)
    graph["7"] = node("ImageCompositeMasked", destination=["3", 0], source=["6", 0], x=78, y=12,
                      resize_source=False)  # fmt: skip
    graph["4"] = easy_inpaint(["7", 0], ["5", 0], steps=1, tries=1)
    run = succeed(client, graph)
    assert not any("photos" in note for note in run.outputs["4"]["tokenopt_notes"])


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"prompt": " "}, ("prompt is empty",)),
        ({"prompt": "a\nb\nc", "image": ["7", 0]}, ("prompt has 3 lines for 2 images",)),
        ({"mask": ["22", 0]}, ("mask is 0 everywhere", "MaskEditor")),
        ({"mask": ["6", 0], "image": ["7", 0]}, ("mask has a batch of 3 and image one of 2",)),
        ({"margin": ["15", 0]}, ("margin is 1e+30",)),
    ],
)
def test_what_easy_inpaint_cannot_do(client, graph, changes, parts):
    graph["4"] = easy_inpaint(["3", 0], ["5", 0], steps=1)
    graph["4"]["inputs"].update(changes)
    graph["7"] = node("RepeatImageBatch", image=["3", 0], amount=2)
    graph["16"] = node("RepeatImageBatch", image=["3", 0], amount=3)
    graph["6"] = node("ImageToMask", image=["16", 0], channel="red")
    graph["15"] = node("Hostile_Number", text="1e30", kind="float")
    fails_with(client, graph, *parts)


def test_a_picture_does_not_depend_on_the_masks_of_the_others(client, graph):
    """Its neighbour is white everywhere, so that nothing of it is known."""
    graph["5"]["inputs"].update(x=14, destination=["24", 0])
    graph["24"] = node("SolidMask", value=0.0, width=64, height=64)
    graph["25"] = node("SolidMask", value=1.0, width=64, height=64)
    for number, mask in (("26", ["5", 0]), ("27", ["25", 0])):
        graph[number] = node("MaskToImage", mask=mask)
    graph["28"] = node("ImageBatch", image1=["26", 0], image2=["27", 0])
    graph["29"] = node("ImageToMask", image=["28", 0], channel="red")
    graph["4"] = easy_inpaint(["2", 0], ["29", 0], tries=1)
    graph["14"] = easy_inpaint(["2", 0], ["5", 0], tries=1)
    graph["18"] = node("PreviewImage", images=["14", 0])
    run = succeed(client, graph)
    first, _ = pixels(client, run)
    (alone,) = pixels(client, run, "18")
    assert np.abs(first.astype(int) - alone).max() <= 1
