"""Token Importance and Pixel Influence in a real ComfyUI: what a user connects and reads."""

from __future__ import annotations

import re
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from devtools.comfyui.checks import fails_with, node, pixels, succeed, table

NEEDED = ("shape", "colour", "size", "position", "background", "pattern", "light", "focus")


def scenes(count: int, seed: int, **fixed: str) -> dict:
    return node(
        "TokenOpt_DemoScene",
        seed=seed,
        batch_size=count,
        **{name: fixed.get(name, "random") for name in NEEDED},
    )


@pytest.fixture
def graph():
    """1 tokenizer, 2 guide, 3 scenes, 4 importance, 5 its chart, 6 its positions, 7 its table."""
    return {
        "1": node("TokenOpt_LoadTokenizer", tokenizer="demo"),
        "2": node("TokenOpt_LoadGuide", model="demo"),
        "3": scenes(64, 5),
        "4": node(
            "TokenOpt_Importance",
            tokenizer=["1", 0],
            guide=["2", 0],
            prompts="bright\ndark",
            image=["3", 0],
            folder="",
            best=1,
            effect="off",
            effect_images=4,
            seed=0,
        ),
        "5": node("PreviewImage", images=["4", 0]),
        "6": node("Hostile_Digest", value=["4", 1], nonce=0),
        "7": node("Hostile_Digest", value=["4", 2], nonce=0),
    }


def text(run, number: str) -> str:
    return run.outputs[number]["digest"][0]


@pytest.fixture
def folder(server, client, graph):
    """The name of a folder in ComfyUI's input directory with 12 scenes, 6 of them dark."""
    place = Path(server.base) / "input" / "importance scenes"
    place.mkdir(parents=True, exist_ok=True)
    for light in ("bright", "dark"):
        made = {
            "1": scenes(6, 9, light=light),
            "2": node("SaveImage", images=["1", 0], filename_prefix=f"importance/{light}"),
        }
        for k, image in enumerate(client.images(succeed(client, made), "2")):
            image.save(place / f"{light}{k}.png")
    yield "importance scenes"
    shutil.rmtree(place)


def test_lighting_and_focus_are_found(client, graph):
    graph["4"]["inputs"]["prompts"] = "bright\ndark\n\nsharp\nblurred"
    run = succeed(client, graph)
    assert text(run, "6") == "6, 15"
    rows = text(run, "7").splitlines()
    assert re.split(r"  +", rows[0].strip()) == ["position", "bright / dark", "sharp / blurred"]
    assert len(rows) == 1 + 16
    scores = np.array([row.split()[1:] for row in rows[1:]], float)
    assert scores.argmax(0).tolist() == [6, 15]
    charts = pixels(client, run, "5")
    assert len(charts) == 2
    assert not np.array_equal(charts[0], charts[1])
    assert any("bright 3" in line and "position 6" in line for line in table(run))


def test_its_positions_go_into_token_copy(client, graph):
    graph["8"] = scenes(1, 3, light="bright")
    graph["9"] = scenes(1, 4, light="dark")
    for number, source in (("10", "8"), ("11", "9")):
        graph[number] = node("TokenOpt_Encode", tokenizer=["1", 0], image=[source, 0])
    graph["12"] = node("TokenOpt_Copy", target=["10", 0], reference=["11", 0], positions=["4", 1])
    graph["13"] = node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["12", 0])
    graph["14"] = node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["10", 0])
    for number, source in (("15", "13"), ("16", "14")):
        graph[number] = node("PreviewImage", images=[source, 0])
    run = succeed(client, graph)
    assert pixels(client, run, "15").mean() < pixels(client, run, "16").mean() - 10


@pytest.mark.parametrize("effect", ["mean", "random"])
def test_the_effect_adds_its_columns_and_can_be_repeated(client, graph, effect):
    graph["4"]["inputs"].update(effect=effect, best=2)
    run = succeed(client, graph)
    rows = text(run, "7").splitlines()
    names = ["position", "bright / dark", "class changes", "similarity drops", "image changes"]
    assert re.split(r"  +", rows[0].strip()) == names
    changes = [float(row.split()[-1]) for row in rows[1:]]
    assert max(changes) > 0.01
    assert all(0 <= change < 0.5 for change in changes)
    assert len(text(run, "6").split(",")) == 2
    graph["3"]["inputs"]["seed"] = 6  # other images, and back: the same figures
    assert text(succeed(client, graph), "7") != text(run, "7")
    graph["3"]["inputs"]["seed"] = 5
    client.free()
    assert text(succeed(client, graph), "7") == text(run, "7")


def test_a_folder_is_as_good_as_a_batch_and_seen_anew_when_it_changes(
    server, client, graph, folder
):
    del graph["4"]["inputs"]["image"], graph["3"]
    graph["4"]["inputs"]["folder"] = folder
    told = table(succeed(client, graph))
    assert any("bright 6, dark 6" in line for line in told)
    assert any("only 6 images" in line for line in told)
    place = Path(server.base) / "input" / folder
    Image.open(place / "dark0.png").save(place / "dark9.png")
    (place / "broken.png").write_bytes(b"no image")
    told = table(succeed(client, graph))
    assert any("bright 6, dark 7" in line for line in told)
    assert any("broken.png" in line for line in told)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"prompts": ""}, ("prompts is empty", "bright and dark")),
        ({"prompts": None}, ("prompts", "nothing to compare")),
        ({"prompts": "bright"}, ("'bright'", "nothing to compare")),
        ({"prompts": "bright\n\ndark"}, ("'bright'", "empty lines")),
        ({"prompts": "bright\nBright"}, ("'bright' twice",)),
        ({"prompts": "bright\nzeppelin"}, ("knows no word", "'zeppelin'")),
        ({"folder": "some"}, ("both an image and a folder",)),
        ({"image": None}, ("neither an image nor a folder",)),
        ({"image": None, "folder": "no such"}, ("folder", "no such")),
    ],
)
def test_inputs_that_cannot_be_compared(client, graph, changes, parts):
    inputs = graph["4"]["inputs"]
    inputs.update(changes)
    if "image" in changes:
        del inputs["image"]
    fails_with(client, graph, *parts)


def test_a_class_without_images(client, graph):
    graph["3"]["inputs"]["light"] = "bright"
    fails_with(client, graph, "none of the 64 images", "'dark'", "prompts")


def test_a_single_image(client, graph):
    graph["3"]["inputs"]["batch_size"] = 1
    fails_with(client, graph, "only 1 image", "2 or more")


def test_pixel_influence_draws_a_map_for_each_position(client):
    graph = {
        "1": node("TokenOpt_LoadTokenizer", tokenizer="demo"),
        "3": scenes(1, 5),
        "4": node("TokenOpt_Encode", tokenizer=["1", 0], image=["3", 0]),
        "5": node(
            "TokenOpt_PixelInfluence", tokenizer=["1", 0], tokens=["4", 0], samples=2, seed=0
        ),
        "6": node("PreviewImage", images=["5", 0]),
        "7": node("PreviewImage", images=["5", 1]),
        "8": node("MaskToImage", mask=["5", 2]),
        "9": node("PreviewImage", images=["8", 0]),
    }
    run = succeed(client, graph)
    sheet, maps, masks = (pixels(client, run, number) for number in "679")
    assert len(sheet) == 1
    assert maps.shape == masks.shape == (16, 64, 64, 3)
    assert (masks.reshape(16, -1).max(1) == 255).all()
    assert maps.reshape(16, -1).max() > 200  # the hottest pixel of all
    assert masks.std((1, 2, 3)).min() > 3  # maps, not plain areas
    assert run.progress("5")[-1] == (32, 32)


@pytest.mark.parametrize("number", ["4", "8"])
def test_cancel_ends_it_between_two_batches_of_images(client, graph, number):
    graph["4"]["inputs"].update(effect="random", effect_images=64)
    graph["7"] = node("TokenOpt_Encode", tokenizer=["1", 0], image=["3", 0])
    graph["8"] = node(
        "TokenOpt_PixelInfluence", tokenizer=["1", 0], tokens=["7", 0], samples=512, seed=0
    )
    graph["9"] = node("PreviewImage", images=["8", 0])
    for other in {"4": "89", "8": "456"}[number]:
        del graph[other]

    def cancel(event):
        if event.kind == "progress" and event.data["value"] > 64:
            client.interrupt()

    run = client.run(graph, on_event=cancel)
    assert run.status == "interrupted"
    value, most = run.progress(number)[-1]
    assert 64 < value < most


def test_cancel_is_heard_among_broken_files_too(server, client, graph):
    place = Path(server.base) / "input" / "all broken"
    place.mkdir(exist_ok=True)
    whole = BytesIO()
    Image.linear_gradient("L").resize((1600, 1600)).save(whole, "PNG")
    for number in range(150):  # each is decoded for a while before its end is missed
        (place / f"{number}.png").write_bytes(whole.getvalue()[:-60])
    del graph["4"]["inputs"]["image"], graph["3"]
    graph["4"]["inputs"]["folder"] = "all broken"

    def cancel(event):
        if event.kind == "executing" and event.node == "4":
            client.interrupt()

    run = client.run(graph, on_event=cancel)
    shutil.rmtree(place)
    assert run.status == "interrupted", run.error
