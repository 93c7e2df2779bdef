"""Load Generator and Generate Tokens, with a tiny generator of random weights in hub layout."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import requests
import torch

from devtools.comfyui.checks import fails_with, node, pixels, succeed
from tokenopt_core.generators import (
    GeneratorSpec,
    SamplingConfig,
    build_generator,
    generate,
    load_generator,
    save_generator,
)
from tokenopt_core.generators.config import USUAL
from tokenopt_core.tokenizers import ViTSize

CLASSES = ("red circle", "green star", "blue heart")
SPEC = GeneratorSpec(
    name="tiny",
    kind="imagebert",
    num_tokens=16,  # as the demo tokenizer
    codebook_size=1024,
    num_classes=len(CLASSES),
    network=ViTSize(width=32, layers=1, heads=2),
    mlp_width=64,
    class_names=CLASSES,
    recommended=SamplingConfig(steps=4, guidance_scale=2.0, temperature=1.0).resolved(USUAL),
)
HELD = [0, 1, 2, 3, 9]


@pytest.fixture(scope="module")
def tiny(server):
    """The folder of the generator, which the menu calls generating/tiny."""
    place = server.base / "models" / "titok_generators" / "generating"
    shutil.rmtree(place, ignore_errors=True)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        generator = build_generator(SPEC)
        for parameter in generator.parameters():  # the usual start is too small to see anything
            parameter.data += 0.2 * torch.randn_like(parameter)
    save_generator(generator, place / "tiny")
    yield place / "tiny"
    shutil.rmtree(place)


@pytest.fixture
def graph(tiny):
    """1 tokenizer, 2 generator, 3 generate, 4 its images, 5 its codes."""

    def make(**inputs) -> dict:
        given = {
            "labels": "green star",
            "batch_size": 1,
            "seed": 0,
            "steps": 0,
            "guidance_scale": -1.0,
            "temperature": -1.0,
            "keep_positions": "0-3, 9",
            "preview_every": 0,
        }
        links = {"generator": ["2", 0], "tokenizer": ["1", 0]}
        return {
            "1": node("TokenOpt_LoadTokenizer", tokenizer="demo"),
            "2": node("TokenOpt_LoadGenerator", model="generating/tiny"),
            "3": node("TokenOpt_Generate", **links, **given | inputs),
            "4": node("PreviewImage", images=["3", 1]),
            "5": node("Hostile_Digest", value=["3", 2], nonce=0),
        }

    return make


def codes(run) -> list[list[int]]:
    return [list(map(int, row.split())) for row in run.outputs["5"]["digest"][0].splitlines()]


def by_library(folder, labels: list[int], **more) -> list[list[int]]:
    generator = load_generator(folder)
    *_, last = generate(generator, torch.tensor(labels), **more)
    return last.codes.tolist()


def test_it_gives_what_the_library_gives(client, tiny, graph):
    run = succeed(client, graph(labels="Green Star\n2\nany", batch_size=2, seed=7))
    assert codes(run) == by_library(tiny, [1, 1, 2, 2, -1, -1], seeds=7)
    assert pixels(client, run, "4").shape == (6, 64, 64, 3)
    own = {"steps": 3, "guidance_scale": 0.0, "temperature": 0.0}
    run = succeed(client, graph(labels="", **own))
    assert codes(run) == by_library(tiny, [-1], config=SamplingConfig(**own))


def test_tokens_go_on_to_the_other_nodes(client, graph):
    made = graph(labels="blue heart", seed=3) | {
        "6": node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=["3", 0]),
        "7": node("Hostile_Digest", value=["6", 1], nonce=0),
        "8": node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["3", 0]),
        "9": node("PreviewImage", images=["8", 0]),
    }
    run = succeed(client, made)
    assert run.outputs["7"]["digest"] == run.outputs["5"]["digest"]
    difference = pixels(client, run, "9").astype(int) - pixels(client, run, "4")
    assert np.abs(difference).max() <= 1


def test_kept_tokens_stay_and_the_rest_depends_on_them(client, graph):
    made = graph(seed=5, batch_size=2, keep_tokens=["6", 0]) | {
        "6": node("TokenOpt_RandomTokens", tokenizer=["1", 0], seed=1, batch_size=1, scale=1.0),
        "7": node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=["6", 0]),
        "8": node("Hostile_Digest", value=["7", 1], nonce=0),
    }
    run, free = succeed(client, made), succeed(client, graph(seed=5, batch_size=2))
    (given,) = (list(map(int, row.split())) for row in run.outputs["8"]["digest"])
    for kept, other in zip(codes(run), codes(free), strict=True):
        assert [kept[i] for i in HELD] == [given[i] for i in HELD]
        assert any(kept[i] != other[i] for i in range(16) if i not in HELD)


def test_previews_and_progress(client, graph):
    run = succeed(client, graph(seed=11, steps=5, preview_every=2, batch_size=5))
    assert run.progress("3")[-1] == (5, 5)
    assert [event.image.size for event in run.previews] == [
        (512, 128)
    ] * 3  # four of them, after 2, 4 and 5


def test_stop_and_keep(client, server, graph):
    def stop(event):
        if event.kind == "progress" and event.node == "3" and event.data["value"] == 2:
            requests.post(f"{server.url}/tokenopt/stop", json={"node_id": "3"}, timeout=30)

    run = client.run(graph(seed=12, steps=5000), on_event=stop)
    assert run.status == "success", run.error
    assert len(codes(run)[0]) == 16
    (note,) = run.outputs["3"]["tokenopt_notes"]
    assert note.startswith("stopped by the user after step")


def test_cancel_within_a_step(client, graph):
    seen = []

    def cancel(event):
        if event.kind == "progress" and event.node == "3":
            seen.append(event.data["value"])
            if len(seen) == 2:
                client.interrupt()

    run = client.run(graph(seed=13, steps=5000), on_event=cancel)
    assert run.status == "interrupted", (run.status, run.error)
    assert seen[-1] < 100


@pytest.mark.parametrize(
    ("inputs", "parts"),
    [
        ({"labels": "green sofa"}, ("labels: 'green sofa' is no class", "green star")),
        ({"labels": "3"}, ("labels: '3'", "0 to 2")),
        ({"keep_tokens": ["6", 0], "keep_positions": "all"}, ("all 16 tokens", "leave one out")),
        ({"keep_tokens": ["6", 0], "keep_positions": "16"}, ("keep_positions contains '16'",)),
        (
            {"keep_tokens": ["6", 0], "labels": "0\n1\n2"},
            ("keep_tokens has 2 images", "generated, 3"),
        ),
    ],
)
def test_what_it_refuses(client, graph, inputs, parts):
    images = 2 if "labels" in inputs else 1
    random = node("TokenOpt_RandomTokens", tokenizer=["1", 0], seed=1, batch_size=images, scale=1.0)
    fails_with(client, graph(**inputs) | {"6": random}, *parts)


def test_a_tokenizer_that_does_not_fit(client, server, tiny, graph):
    other = server.base / "models" / "titok_generators" / "generating" / "short"
    spec = GeneratorSpec(**{**vars(SPEC), "num_tokens": 8, "name": "short"})
    save_generator(build_generator(spec), other)
    made = graph()
    made["2"]["inputs"]["model"] = "generating/short"
    fails_with(client, made, "tokenizer: found", "16 tokens of 1024 codes", "makes 8")


def test_the_menu(client, tiny):
    declared = client.object_info()["TokenOpt_LoadGenerator"]["input"]["required"]["model"]
    listed = declared[1]["options"] if isinstance(declared[0], str) else declared[0]
    assert {"titok-l32", "titok-b64", "titok-s128", "generating/tiny"} <= set(listed)


def test_a_missing_release_is_told_without_a_download(client, graph):
    made = graph()
    made["2"]["inputs"].update(model="titok-l32", download=False)
    run = client.run(made)
    assert run.status == "error"
    message = run.error["exception_message"]
    assert "titok_generators" in message
    assert "yucornetto/generator_titok_l32_imagenet" in message


def test_where_memory_does_not_suffice_images_are_made_one_after_the_other(client, graph):
    plain = succeed(client, graph(seed=14, labels="1\n2", batch_size=2))
    scarce = graph(seed=14, labels="1\n2", batch_size=2)
    scarce["6"] = node("Hostile_ScarceGenerator", generator=["2", 0], rows=2)
    scarce["3"]["inputs"]["generator"] = ["6", 0]
    spared = succeed(client, scarce)
    assert codes(spared) == codes(plain)
    assert any("one image after the other" in n for n in spared.outputs["3"]["tokenopt_notes"])
