"""Where runs start: Random Tokens of all kinds, and TiTok Encode of a VAE."""

from __future__ import annotations

import numpy as np
import pytest

from devtools.comfyui.checks import fails_with, node, pixels, record, succeed, table
from tests.server.conftest import CAPTION
from tests.server.test_numbers import number_inputs

MOST = 2**64 - 1  # of a seed, as in ComfyUI


def digest(client, graph, *sources) -> list[str]:
    """Fingerprints of the tokens of some nodes."""
    watched = {
        f"9{i}": node("Hostile_Digest", value=[source, 0], nonce=i)
        for i, source in enumerate(sources)
    }
    run = succeed(client, {**graph, **watched})
    return [run.outputs[number]["digest"][0] for number in watched]


def starts(graph, **inputs) -> dict:
    plain = {"tokenizer": ["1", 0], "seed": 5, "batch_size": 2, "scale": 1.0}
    graph["4"] = node("TokenOpt_RandomTokens", **plain)
    graph["5"] = node("TokenOpt_RandomTokens", **{**plain, **inputs})
    return graph


def test_random_codes_are_the_codes_of_their_features(client, scene):
    graph = starts(scene, kind="codes")
    first, second = digest(client, graph, "4", "5")
    assert first != second
    graph["6"] = node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=["5", 0])
    graph["7"] = node("Hostile_Digest", value=["6", 1], nonce=0)
    codes = succeed(client, graph).outputs["7"]["digest"][0].splitlines()
    assert len(codes) == 2
    assert codes[0] != codes[1]


def test_the_best_start_has_the_lowest_loss(client, scene, workflow):
    graph = starts(scene, best_of=12, loss=["8", 0])
    prompt = "a large red star in the middle, plain sky background, bright, sharp"
    graph["8"] = workflow("text_edit")["5"]
    graph["8"]["inputs"] |= CAPTION
    graph["8"]["inputs"].update(prompt=prompt, random_crops=False)
    scores = []
    for number, tokens in (("20", "4"), ("21", "5")):
        graph[f"1{number}"] = node("TokenOpt_Decode", tokenizer=["1", 0], tokens=[tokens, 0])
        graph[number] = node(
            "TokenOpt_Judge", image=[f"1{number}", 0], guide=["2", 0], prompt=prompt
        )
    run = succeed(client, graph)
    for number in ("20", "21"):
        scores.append([float(row.split()[1]) for row in table(run, number)[1:3]])
    # The start of one alone is among the twelve, and may be the best of them.
    assert all(best >= first for first, best in zip(*scores, strict=True)), scores
    assert scores[0] != scores[1]


@pytest.mark.parametrize(
    ("inputs", "parts"),
    [
        ({"best_of": 4}, ("best_of is 4", "loss")),
        ({"kind": "noise"}, ("kind", "'noise'")),
    ],
)
def test_random_tokens_bad_input(client, scene, inputs, parts):
    graph = starts(scene, **inputs)
    graph["6"] = node("Hostile_Digest", value=["5", 0], nonce=0)
    fails_with(client, graph, *parts)


@pytest.fixture
def vae(server) -> str:
    """Name of a tiny VAE with random weights in models/titok."""
    from tokenopt_core.tokenizers import TokenizerSpec, ViTSize, build_tokenizer, save_tokenizer

    size = ViTSize(width=32, layers=1, heads=1)
    sizes = {"image_size": 32, "num_tokens": 4, "token_size": 8}
    towers = {"encoder": size, "decoder": size, "encoder_patch": 8, "decoder_patch": 8}
    spec = TokenizerSpec(name="sampled", kind="vae", **sizes, **towers)
    save_tokenizer(build_tokenizer(spec), server.base / "models" / "titok" / "sampled")
    return "sampled"


def test_a_vae_is_sampled_by_seed(client, scene, vae):
    scene["1"]["inputs"]["tokenizer"] = vae
    for number, more in (
        ("4", {}),
        ("5", {"sample": True, "sample_seed": 1}),
        ("6", {"sample": True, "sample_seed": 2}),
        ("7", {"sample": False, "sample_seed": 2}),
    ):
        scene[number] = node("TokenOpt_Encode", tokenizer=["1", 0], image=["3", 0], **more)
    mean, first, second, unused = digest(client, scene, "4", "5", "6", "7")
    assert mean == unused
    assert len({mean, first, second}) == 3


def test_a_codebook_has_nothing_to_sample(client, scene):
    scene["4"] = node("TokenOpt_Encode", tokenizer=["1", 0], image=["3", 0], sample=True)
    scene["5"] = node("Hostile_Digest", value=["4", 0], nonce=0)
    fails_with(client, scene, "sample is on", "'demo' has a codebook")


def test_a_vae_has_no_random_codes(client, scene, vae):
    scene["1"]["inputs"]["tokenizer"] = vae
    graph = starts(scene, kind="codes")
    graph["6"] = node("Hostile_Digest", value=["5", 0], nonce=0)
    fails_with(client, graph, "VAE", "no codes")


def test_every_seed_that_another_pack_may_have_is_taken(client, edit):
    """64 bits: as a number, through a link, and the images of a batch go round at the end."""
    inputs = [
        (options, name)
        for node_id, info in client.object_info().items()
        for name, (kind, *options) in number_inputs(info).items()
        if node_id.startswith("TokenOpt_") and name.endswith("seed")
    ]
    assert len(inputs) > 9
    assert {(options["min"], options["max"]) for (options,), _ in inputs} == {(0, MOST)}
    seeded = [edit[number]["inputs"] for number in ("3", "6")]
    for given in seeded:
        given["seed"] = MOST
    edit["3"]["inputs"]["batch_size"] = 2
    run = succeed(client, edit)
    assert record(run)["seeds"] == [MOST, 0]
    expected = pixels(client, run)
    edit["91"] = node("Hostile_Number", kind="int", text=str(MOST))
    for given in seeded:
        given["seed"] = ["91", 0]
    np.testing.assert_array_equal(pixels(client, succeed(client, edit)), expected)
