"""Token Inspector without a browser: the edits reach tokens and image, and the page is told."""

from __future__ import annotations

import numpy as np
import pytest

from devtools.comfyui.checks import fails_with, node, pixels, succeed

VAE_SIZE = {"image_size": 32, "num_tokens": 4, "token_size": 8}


@pytest.fixture
def vae(server) -> str:
    """Name of a tiny VAE with random weights in models/titok."""
    from tokenopt_core.tokenizers import TokenizerSpec, ViTSize, build_tokenizer, save_tokenizer

    size = ViTSize(width=32, layers=1, heads=1)
    towers = {"encoder": size, "decoder": size, "encoder_patch": 8, "decoder_patch": 8}
    spec = TokenizerSpec(name="inspected", kind="vae", **VAE_SIZE, **towers)
    save_tokenizer(build_tokenizer(spec), server.base / "models" / "titok" / "inspected")
    return "inspected"


def inspected(scene, edits="", positions="", batch=2) -> dict:
    """Node 5 inspects the tokens of the scenes; 6 shows its image, 7 decodes its tokens and 8 tells
    their codes."""
    scene["3"]["inputs"]["batch_size"] = batch
    scene["4"] = node("TokenOpt_Encode", tokenizer=["1", 0], image=["3", 0])
    texts = {"edits": edits, "positions": positions}
    scene["5"] = node("TokenOpt_Inspect", tokenizer=["1", 0], tokens=["4", 0], **texts)
    scene["6"] = node("PreviewImage", images=["5", 2])
    scene["7"] = node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["5", 0])
    scene["8"] = node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=["5", 0])
    scene["9"] = node("PreviewAny", source=["8", 1])
    scene["10"] = node("PreviewImage", images=["7", 0])
    scene["11"] = node("PreviewAny", source=["5", 1])
    return scene


def told(run) -> dict:
    return run.outputs["5"]["tokenopt_inspector"][0]


def codes(run) -> list[list[int]]:
    """Of the tokens that the inspector gave out, as TiTok Quantize sees them."""
    return [[*map(int, line.split())] for line in run.outputs["9"]["text"][0].splitlines()]


def test_without_edits_everything_passes(client, scene):
    run = succeed(client, inspected(scene, positions="0-2, 7"))
    page = told(run)
    assert (page["tokenizer"], page["images"]) == ("demo", 2)
    assert (page["num_tokens"], page["codebook_size"]) == (16, 1024)
    assert page["codes"] == page["before"] == codes(run)
    assert run.outputs["11"]["text"] == ["0-2, 7"]
    assert (pixels(client, run, "6") == pixels(client, run, "10")).all()
    thumbnails = [np.asarray(client.view(file)) for file in run.outputs["5"]["tokenopt_thumbnails"]]
    assert (np.stack(thumbnails) == pixels(client, run, "6")).all()


def test_edits_change_the_codes_and_the_image(client, scene):
    plain = succeed(client, inspected(scene))
    before = told(plain)["codes"]
    run = succeed(client, inspected(scene, edits="3: 417, 1/7: 12, 1/3: 5"))
    wanted = [list(row) for row in before]
    wanted[0][3], wanted[1][3], wanted[1][7] = 417, 5, 12
    assert told(run)["codes"] == wanted == codes(run)
    assert told(run)["before"] == before
    assert (pixels(client, run, "6") == pixels(client, run, "10")).all()
    assert (pixels(client, run, "6") != pixels(client, plain, "6")).any()


def test_a_vae_shows_magnitudes_and_takes_no_edits(client, scene, vae):
    scene["1"]["inputs"]["tokenizer"] = vae
    graph = inspected(scene, positions="1")
    for number in ("8", "9"):
        del graph[number]
    page = told(succeed(client, graph))
    assert "codes" not in page
    assert page["codebook_size"] is None
    assert np.shape(page["magnitudes"]) == (2, 4)
    assert np.min(page["magnitudes"]) > 0
    graph["5"]["inputs"]["edits"] = "3: 4"
    fails_with(client, graph, "VAE", "no codes")


@pytest.mark.parametrize(
    ("inputs", "parts"),
    [
        ({"edits": "3-417"}, ["edits contains '3-417'", "3: 417"]),
        ({"edits": "16: 1"}, ["edits", "'16: 1'", "0 to 15"]),
        ({"edits": "3: 1024"}, ["edits", "'3: 1024'", "0 to 1023"]),
        ({"edits": "2/3: 4"}, ["'2/3: 4'", "image 2", "from 0 to 1"]),
        ({"edits": "3: 4, 3: 5"}, ["edits", "position 3", "twice"]),
        ({"positions": "99"}, ["positions", "'99'", "0 to 15"]),
    ],
)
def test_bad_texts_are_told(client, scene, inputs, parts):
    fails_with(client, inspected(scene, **inputs), *parts)
