"""Attributes as a user meets them: learnt from two sets of scenes, given to others, kept in files.

The graph: 1 tokenizer; 2 and 3 scenes with and without blur, 4 and 5 their tokens; 6 attribute;
7 fresh scenes, 8 their tokens; 9 apply, 10 decode, 11 preview.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from devtools.comfyui.checks import fails_with, node, pixels, succeed
from tests.server.test_bad_input import save_tiny
from tokenopt_core.demo import judge
from tokenopt_core.demo.world import ATTRIBUTES, sample

FRESH, COUNT = 4321, 12
FOCUS = list(ATTRIBUTES).index("focus")


def scenes(seed: int, batch_size: int, **fixed: str) -> dict:
    choices = {name: fixed.get(name, "random") for name in ATTRIBUTES}
    return node("TokenOpt_DemoScene", seed=seed, batch_size=batch_size, **choices)


@pytest.fixture
def graph():
    return learning()


def learning() -> dict:
    return {
        "1": node("TokenOpt_LoadTokenizer", tokenizer="demo"),
        "2": scenes(seed=1, batch_size=24, focus="blurred"),
        "3": scenes(seed=1, batch_size=24, focus="sharp"),
        "4": node("TokenOpt_Encode", tokenizer=["1", 0], image=["2", 0]),
        "5": node("TokenOpt_Encode", tokenizer=["1", 0], image=["3", 0]),
        "6": node(
            "TokenOpt_AttributeVector",
            tokenizer=["1", 0],
            tokens_with=["4", 0],
            tokens_without=["5", 0],
            name_with="blurred",
        ),
        "7": scenes(seed=FRESH, batch_size=COUNT, focus="sharp"),
        "8": node("TokenOpt_Encode", tokenizer=["1", 0], image=["7", 0]),
        "9": node("TokenOpt_ApplyAttribute", tokens=["8", 0], attribute=["6", 0], strength=1.0),
        "10": node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["9", 0]),
        "11": node("PreviewImage", images=["10", 0]),
    }


def seen(client, run):
    """What the judge sees in the previewed images."""
    images = torch.from_numpy(pixels(client, run, "11")).movedim(3, 1) / 255
    return judge(images)


def judge_finds(judgement, attribute: int, value: str) -> float:
    index = ATTRIBUTES[list(ATTRIBUTES)[attribute]].index(value)
    return (judgement.indices[:, attribute] == index).float().mean().item()


def test_blur_learnt_from_examples_blurs_other_scenes(client, graph):
    run = succeed(client, graph)
    found = seen(client, run)
    assert judge_finds(found, FOCUS, "blurred") >= 0.75
    others = [column for column in range(len(ATTRIBUTES)) if column != FOCUS]
    kept = found.indices[:, others] == sample(COUNT, FRESH).indices[:, others]
    assert kept.float().mean() >= 0.85
    (note,) = run.outputs["6"]["tokenopt_notes"]
    assert "blurred (24 images) minus without (24 images)" in note


def test_a_negative_strength_takes_it_away(client, graph):
    graph["7"]["inputs"]["focus"] = "blurred"
    graph["9"]["inputs"]["strength"] = -1.5
    assert judge_finds(seen(client, succeed(client, graph)), FOCUS, "sharp") >= 0.75


def test_a_row_of_strengths(client, graph):
    graph["7"]["inputs"]["batch_size"] = 2
    graph["9"]["inputs"]["strengths"] = "0, 1; -1"
    row = pixels(client, succeed(client, graph), "11")
    assert len(row) == 6
    graph["10"]["inputs"]["tokens"] = ["8", 0]
    plain = pixels(client, succeed(client, graph), "11")
    assert (row[[0, 3]] == plain).all()  # strength 0 of both images
    graph["10"]["inputs"]["tokens"] = ["9", 0]
    graph["9"]["inputs"]["strengths"] = " "
    alone = pixels(client, succeed(client, graph), "11")
    assert (row[[1, 4]] == alone).all()  # strength 1


def test_quantized_tokens_are_as_good(client, graph):
    """Where nothing is added they stay the same codes; the result is quantized when decoded."""
    graph["6"]["inputs"]["positions"] = "15"
    graph["12"] = node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=["8", 0])
    graph["9"]["inputs"]["tokens"] = ["12", 0]
    for number, tokens in (("13", "12"), ("14", "9")):
        graph[number] = node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=[tokens, 0])
        graph[f"2{number}"] = node("Hostile_Digest", value=[number, 1], nonce=0)
    run = succeed(client, graph)
    before, after = (
        [line.split() for line in run.outputs[number]["digest"][0].splitlines()]
        for number in ("213", "214")
    )
    changed = {p for a, b in zip(before, after, strict=True) for p in range(16) if a[p] != b[p]}
    assert changed == {15}


def test_other_positions_than_its_own(client, graph):
    graph["12"] = node("Hostile_Digest", value=["6", 1], nonce=0)
    graph["6"]["inputs"].update(positions="0-15", strongest=2)
    run = succeed(client, graph)
    assert len(run.outputs["12"]["digest"][0].split(", ")) == 2
    first = pixels(client, run, "11")
    graph["9"]["inputs"]["positions"] = "all"
    assert (pixels(client, succeed(client, graph), "11") != first).any()


def test_one_image_each_says_what_that_means(client, graph):
    graph["2"]["inputs"]["batch_size"] = graph["3"]["inputs"]["batch_size"] = 1
    notes = succeed(client, graph).outputs["6"]["tokenopt_notes"]
    assert "From one image each" in notes[-1]
    graph["3"]["inputs"]["batch_size"] = 5
    notes = succeed(client, graph).outputs["6"]["tokenopt_notes"]
    assert "One set is a single image" in notes[-1]


def test_a_preset_copies_the_light(client, graph):
    light = list(ATTRIBUTES).index("light")
    graph["7"]["inputs"].update(focus="random", light="bright")
    graph["2"] = scenes(seed=FRESH, batch_size=COUNT, light="dark")
    graph["12"] = node("TokenOpt_PositionPreset", tokenizer=["1", 0], preset="lighting")
    graph["9"] = node("TokenOpt_Copy", target=["8", 0], reference=["4", 0], positions=["12", 0])
    for number in ("3", "5", "6"):
        del graph[number]
    assert judge_finds(seen(client, succeed(client, graph)), light, "dark") >= 0.75


@pytest.fixture(scope="module")
def saved(server) -> str:
    """The menu's name of an attribute that was just saved."""
    client = server.client()
    before = set(menu(client))
    run = succeed(
        client,
        {
            **{number: learning()[number] for number in "123456"},
            "7": node("TokenOpt_SaveAttribute", attribute=["6", 0], filename_prefix="mine/blur"),
        },
    )
    (name,) = set(menu(client)) - before
    assert run.outputs["7"]["tokenopt_notes"] == [f"saved as {name}"]
    return name


def menu(client) -> list[str]:
    inputs = client.object_info()["TokenOpt_LoadAttribute"]["input"]["required"]
    return inputs["file"][1]["options"]


def path_of(server, name: str) -> Path:
    return server.base / "output" / name.removesuffix(" [output]")


def test_saved_and_loaded_is_the_same(client, graph, saved):
    graph["7"]["inputs"]["batch_size"] = 3
    direct = pixels(client, succeed(client, graph), "11")
    graph["6"] = node("TokenOpt_LoadAttribute", tokenizer=["1", 0], file=saved)
    assert (pixels(client, succeed(client, graph), "11") == direct).all()


def loading(file: str, tokenizer: str = "demo") -> dict:
    return {
        "1": node("TokenOpt_LoadTokenizer", tokenizer=tokenizer),
        "2": node("TokenOpt_LoadAttribute", tokenizer=["1", 0], file=file),
        "3": node("TokenOpt_SaveAttribute", attribute=["2", 0], filename_prefix="mine/again"),
    }


def test_files_that_are_no_good(client, server, saved):
    whole = path_of(server, saved).read_bytes()
    path = server.base / "input" / "from a friend.attribute.safetensors"
    path.write_bytes(whole)
    save_tiny(server, "other", kind="vae")
    fails_with(client, loading(path.name, "other"), path.name, "'demo'", "'other'")
    path.write_bytes(whole[: len(whole) // 2])
    fails_with(client, loading(path.name), path.name, "damaged")
    path.write_bytes(whole)
    succeed(client, loading(path.name))  # the broken file is not remembered
    path.unlink()
    fails_with(client, loading(path.name), "file is", "expected an attribute")


@pytest.mark.parametrize(
    "file", ["", "../secret.attribute.safetensors", "/etc/passwd", "none.attribute.safetensors"]
)
def test_only_files_of_the_menu_are_read(client, server, file):
    secret = server.base / "secret.attribute.safetensors"
    secret.write_bytes(b"secret")
    fails_with(client, loading(file), "file is", "expected an attribute", "input or output")


def test_links_that_lead_out_are_not_followed(client, server, saved):
    outside = server.base / "outside"
    outside.mkdir(exist_ok=True)
    content = path_of(server, saved).read_bytes()
    (outside / "stolen.attribute.safetensors").write_bytes(content)
    folder, file = (server.base / "output" / name for name in ("door", "d.attribute.safetensors"))
    for link, target in ((folder, outside), (file, outside / "stolen.attribute.safetensors")):
        if not link.is_symlink():
            os.symlink(target, link)
    names = menu(client)
    assert saved in names
    assert not [name for name in names if "stolen" in name or name.startswith("d.")]
    fails_with(client, loading("d.attribute.safetensors [output]"), "file is")
    graph = loading(saved)
    graph["3"]["inputs"]["filename_prefix"] = "door/x"
    fails_with(client, graph, "filename_prefix is 'door/x'", "output folder")
    assert len(list(outside.iterdir())) == 1


def test_names_that_no_disk_takes(client, saved):
    graph = loading(saved)
    for prefix in ("x" * 300, "a/" + "é" * 100, "a/" * 3000 + "a"):
        graph["3"]["inputs"]["filename_prefix"] = prefix
        fails_with(client, graph, "filename_prefix is", "shorter name")
    graph = loading("x" * 5000 + ".attribute.safetensors")
    fails_with(client, graph, "file is")


@pytest.mark.parametrize("prefix", ["../x", "/elsewhere/x", "", "a/../../x", "x\0y", "."])
def test_names_that_leave_the_output_folder(client, saved, prefix):
    graph = loading(saved)
    graph["3"]["inputs"]["filename_prefix"] = prefix
    fails_with(client, graph, "filename_prefix is", "output folder")
