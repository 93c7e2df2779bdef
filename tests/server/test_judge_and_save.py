"""Judge, Save Image with Record, and the kinds of starts of Random Tokens and TiTok Encode."""

from __future__ import annotations

import json

import pytest

from devtools.checks import fails_with, node, succeed


@pytest.fixture
def scene():
    """1 tokenizer, 2 guide, 3 two scenes: a green star and a green star, large, on sky."""
    attributes = {
        "shape": "star",
        "colour": "green",
        "size": "large",
        "position": "middle",
        "background": "sky",
        "pattern": "plain",
        "light": "bright",
        "focus": "sharp",
    }
    return {
        "1": node("TokenOpt_LoadTokenizer", tokenizer="demo"),
        "2": node("TokenOpt_LoadGuide", model="demo"),
        "3": node("TokenOpt_DemoScene", seed=3, batch_size=2, **attributes),
    }


def table(run, number: str = "4") -> list[str]:
    return run.outputs[number]["tokenopt_notes"][0].splitlines()


def test_the_judge_agrees_with_the_caption(client, scene):
    scene["4"] = node("TokenOpt_Judge", image=["3", 0], guide=["2", 0], prompt=["3", 1])
    scene["5"] = node("Hostile_Digest", value=["4", 0], nonce=0)
    run = succeed(client, scene)
    head, *rows = table(run)
    assert head.split() == ["image", "CLIP", "demo", "judge", "verdict"]
    assert len(rows) == 2
    for row in rows:
        assert row.endswith("as asked")
        assert float(row.split()[2]) > 0.5
    assert run.outputs["5"]["digest"][0].splitlines() == [head, *rows]


def test_the_judge_says_what_is_wrong_and_what_has_changed(client, scene):
    prompt = "a small red star:1 | a circle:-0.5"
    scene["6"] = node("TokenOpt_DemoScene", **{**scene["3"]["inputs"], "colour": "red"})
    scene["4"] = node(
        "TokenOpt_Judge", image=["6", 0], guide=["2", 0], prompt=prompt, before=["3", 0]
    )
    head, row, _ = table(succeed(client, scene))
    assert head.split() == ["image", "CLIP", "before", "demo", "judge", "verdict"]
    assert row.endswith("size is large, not small")
    assert float(row.split()[1]) > float(row.split()[2])


def test_what_pleases_nobody_is_no_scene(client, scene):
    scene["6"] = node("EmptyImage", width=64, height=64, batch_size=1, color=0x804020)
    scene["4"] = node("TokenOpt_Judge", image=["6", 0], guide=["2", 0], prompt="a green star")
    assert "probably an adversarial image" in table(succeed(client, scene))[1]


def test_a_prompt_that_the_demo_judge_cannot_read(client, scene):
    scene["4"] = node("TokenOpt_Judge", image=["3", 0], guide=["2", 0], prompt="my cat")
    lines = table(succeed(client, scene))
    assert "nothing that the demo judge knows" in lines[1]
    assert any(line.startswith("note: guide demo does not know") for line in lines)


@pytest.mark.parametrize(
    ("inputs", "parts"),
    [
        ({"prompt": " \n"}, ("prompt is empty",)),
        ({"prompt": "a\nb\nc"}, ("prompt has 3 lines for 2 images",)),
        ({"prompt": "a star:-1"}, ("asks for nothing", "above 0")),
        ({"before": ["7", 0]}, ("before has 3 images and image has 2",)),
    ],
)
def test_judge_bad_input(client, scene, inputs, parts):
    scene["7"] = node("RepeatImageBatch", image=["8", 0], amount=3)
    scene["8"] = node("ImageFromBatch", image=["3", 0], batch_index=0, length=1)
    inputs = {"image": ["3", 0], "guide": ["2", 0], "prompt": "a star", **inputs}
    scene["4"] = node("TokenOpt_Judge", **inputs)
    fails_with(client, scene, *parts)


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
    ("inputs", "parts"),
    [
        ({"record": "no json"}, ("record is 'no json'", "JSON object")),
        ({"record": "[1]"}, ("record is '[1]'",)),
        ({"record": "{}", "filename_prefix": "../escaped"}, ("filename_prefix", "output folder")),
        ({"record": "{}", "filename_prefix": "/etc/x"}, ("filename_prefix", "output folder")),
        ({"record": "{}", "filename_prefix": ""}, ("filename_prefix is ''",)),
    ],
)
def test_save_bad_input(client, scene, inputs, parts):
    inputs = {"images": ["3", 0], "filename_prefix": "kept/bad", **inputs}
    scene["9"] = node("TokenOpt_SaveImage", **inputs)
    fails_with(client, scene, *parts)


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
