"""Images as text and in files, there and back, in a real ComfyUI."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import requests
from PIL import Image

from devtools.comfyui.checks import fails_with, node, succeed
from tests.server.test_bad_input import save_tiny


@pytest.fixture
def encoded(scene):
    """Features 4 and quantized tokens 5 of two scenes; 6 decodes them, 7 shows them."""
    scene["4"] = node("TokenOpt_Encode", tokenizer=["1", 0], image=["3", 0])
    scene["5"] = node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=["4", 0])
    return scene


def decoded(client, graph, number: str) -> bytes:
    """Every bit of the decoded images of a node's tokens."""
    decode = node("TokenOpt_Decode", tokenizer=["1", 0], tokens=[number, 0])
    digest = node("Hostile_Digest", value=["90", 0], nonce=0)
    run = succeed(client, {**graph, "90": decode, "91": digest})
    return run.outputs["91"]["digest"][0]


def text_of(client, graph, number: str = "5") -> str:
    to_text = node("TokenOpt_TokensToText", tokenizer=["1", 0], tokens=[number, 0])
    run = succeed(client, {**graph, "80": to_text, "81": _digest("80")})
    assert run.outputs["81"]["digest"] == run.outputs["80"]["tokenopt_notes"]
    return run.outputs["81"]["digest"][0]


def pasted(text: str) -> dict:
    return {
        "1": node("TokenOpt_LoadTokenizer", tokenizer="demo"),
        "50": node("TokenOpt_TextToTokens", tokenizer=["1", 0], text=text),
    }


@pytest.mark.parametrize("tokens", ["4", "5"])
def test_a_pasted_text_is_the_image_to_the_last_bit(client, encoded, tokens):
    text = text_of(client, encoded, tokens)
    lines = text.splitlines()
    assert [line[:10] for line in lines] == ["tok1.demo."] * 2
    assert len(lines[0]) == len("tok1.demo.") + 38  # 4 + 20 + 4 bytes
    expected = decoded(client, encoded, tokens)
    client.free()
    assert decoded(client, pasted(f"\n  {lines[0]}\r\n\n{lines[1]} \n"), "50") == expected
    assert decoded(client, pasted(f"{lines[1]}\n{lines[0]}"), "50") != expected


def test_damaged_and_foreign_texts(client, server, encoded):
    line = text_of(client, encoded).splitlines()[0]
    save_tiny(server, "other-vq", codebook_size=64)
    typo = line[:30] + ("x" if line[30] != "x" else "y") + line[31:]
    for spoilt, *parts in (
        ("", "text is empty"),
        ("a red star", "text is 'a red star'", "tok1.demo."),
        (typo, "text is damaged"),
        (line[:-3], "text is damaged"),
        (f"{line}\n{line[:-1]}", "line 2 of text is damaged"),
        (line.replace("tok1", "tok9"), "version 9"),
    ):
        fails_with(client, pasted(spoilt) | {"9": _digest("50")}, *parts)
    graph = pasted(line) | {"9": _digest("50")}
    graph["1"]["inputs"]["tokenizer"] = "other-vq"
    fails_with(client, graph, "made with the tokenizer 'demo'", "one is 'other-vq'")


def test_a_vae_has_no_text_but_files(client, server, encoded):
    save_tiny(server, "other-vae", kind="vae")
    encoded["1"]["inputs"]["tokenizer"] = "other-vae"
    encoded["20"] = _save("4", "bits/vae")
    name = _saved(succeed(client, encoded))
    expected = decoded(client, encoded, "4")
    assert decoded(client, {**encoded, "4": _load(name)}, "4") == expected
    encoded["20"] = node("TokenOpt_TokensToText", tokenizer=["1", 0], tokens=["4", 0])
    fails_with(client, encoded, "is a VAE", "Save Tokens")
    encoded["20"] = node("TokenOpt_TextToTokens", tokenizer=["1", 0], text="tok1.demo.AAAA")
    encoded["21"] = _digest("20")
    fails_with(client, encoded, "is a VAE")


def test_tokens_between_the_codes_have_no_text(client, encoded):
    encoded["20"] = node(
        "TokenOpt_Blend",
        tokenizer=["1", 0],
        target=["4", 0],
        reference=["22", 0],
        positions="all",
        strength=0.5,
        steps=1,
        quantize=False,
    )
    encoded["22"] = node(
        "TokenOpt_RandomTokens", tokenizer=["1", 0], seed=1, batch_size=1, scale=1.0
    )
    encoded["21"] = node("TokenOpt_TokensToText", tokenizer=["1", 0], tokens=["20", 0])
    fails_with(client, encoded, "tokens lie between the codes", "TiTok Quantize")


@pytest.mark.parametrize("tokens", ["4", "5"])
def test_saved_and_loaded_tokens_are_the_same_numbers(client, server, encoded, tokens):
    encoded["20"], encoded["21"] = _save(tokens, "bits/of a scene"), _digest(tokens)
    run = succeed(client, encoded)
    name = _saved(run)
    loading = {"1": encoded["1"], "30": _load(name), "31": _digest("30")}
    inputs = client.object_info()["TokenOpt_LoadTokens"]["input"]["required"]
    assert name in inputs["file"][1]["options"]
    assert succeed(client, loading).outputs["31"]["digest"] == run.outputs["21"]["digest"]
    path = server.base / "output" / name.removesuffix(" [output]")
    shutil.copy(path, server.base / "input" / "mine.tokens.safetensors")
    loading["30"] = _load("mine.tokens.safetensors")
    assert succeed(client, loading).outputs["31"]["digest"] == run.outputs["21"]["digest"]
    os.replace(path, path.with_name(f"{path.name}.moved"))
    encoded["21"]["inputs"]["nonce"] = 1
    fails_with(client, {**encoded, "20": _load(name), "22": _digest("20")}, "file is")


def test_files_that_cannot_be_loaded(client, server, encoded, tmp_path):
    folder = server.base / "input"
    (folder / "cut.tokens.safetensors").write_bytes(b"\x40\0\0\0\0\0\0\0{}")
    (tmp_path / "secret.tokens.safetensors").write_bytes(b"secret")
    link = folder / "link.tokens.safetensors"
    link.unlink(missing_ok=True)
    link.symlink_to(tmp_path / "secret.tokens.safetensors")
    relative = os.path.relpath(tmp_path / "secret.tokens.safetensors", folder)
    assert "link.tokens" not in str(client.object_info()["TokenOpt_LoadTokens"]["input"])
    for name in (link.name, relative, str(tmp_path / "secret.tokens.safetensors"), "", "x" * 900):
        graph = {"1": encoded["1"], "30": _load(name), "31": _digest("30")}
        fails_with(client, graph, "file is", "ComfyUI's input or output folder")
    graph["30"] = _load("cut.tokens.safetensors")
    fails_with(client, graph, "'cut.tokens.safetensors' is damaged")


@pytest.mark.parametrize("prefix", ["../escaped", ".hidden", "tokens/.hidden/name", ".hidden/name"])
def test_tokens_are_saved_where_they_can_be_found_again(client, encoded, prefix):
    encoded["30"] = _save("4", prefix)
    fails_with(client, encoded, f"filename_prefix is {prefix!r}", "expected")


def test_a_saved_image_carries_its_codes(client, server, encoded):
    graph = {**encoded, "6": node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["4", 0])}
    sockets = {"images": ["6", 0], "tokens": ["4", 0], "tokenizer": ["1", 0]}
    graph["7"] = node("TokenOpt_SaveImage", **sockets, filename_prefix="kept/codes")
    run = succeed(client, graph)
    images, lines = client.images(run, "7"), text_of(client, encoded).splitlines()
    assert [image.text["tokenopt_codes"] for image in images] == lines
    second = run.outputs["7"]["images"][1]
    for name in (f"kept/{second['filename']} [output]", _dropped(client, second)):
        again = {"1": graph["1"], "50": node("TokenOpt_SavedImageTokens", image=name)}
        again["50"]["inputs"]["tokenizer"] = ["1", 0]
        assert decoded(client, again, "50") == decoded(client, pasted(lines[1]), "50")
    plain = client.upload(Image.new("RGB", (8, 8)), "plain.png")
    again["50"]["inputs"]["image"] = plain
    fails_with(client, again | {"9": _digest("50")}, "'plain.png' carries no codes")
    again["50"]["inputs"]["image"] = "../../etc/passwd.png"
    fails_with(client, again | {"9": _digest("50")}, "image is '../../etc", "expected an image")


def test_an_optimized_image_carries_its_codes_by_its_record(client, edit):
    edit["9"] = node("TokenOpt_SaveImage", images=["6", 0], record=["6", 5], filename_prefix="k/r")
    run = succeed(client, edit)
    (image,) = client.images(run, "9")
    graph = pasted(image.text["tokenopt_codes"])
    graph["51"] = node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["50", 0])
    graph["52"] = node("TokenOpt_SaveImage", images=["51", 0], filename_prefix="k/again")
    (again,) = client.images(succeed(client, graph), "52")
    np.testing.assert_array_equal(np.asarray(again), np.asarray(image))


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"tokenizer": None}, ("tokens is connected, but tokenizer is not",)),
        ({"images": ["8", 0]}, ("tokens has 2 images and images 3",)),
    ],
)
def test_tokens_that_do_not_belong_to_the_images(client, encoded, change, parts):
    sockets = {"images": ["3", 0], "tokens": ["4", 0], "tokenizer": ["1", 0], **change}
    sockets = {name: source for name, source in sockets.items() if source}
    encoded["8"] = node("RepeatImageBatch", image=["20", 0], amount=3)
    encoded["20"] = node("ImageFromBatch", image=["3", 0], batch_index=0, length=1)
    encoded["9"] = node("TokenOpt_SaveImage", **sockets, filename_prefix="kept/codes")
    fails_with(client, encoded, *parts)


def _digest(number: str) -> dict:
    return node("Hostile_Digest", value=[number, 0], nonce=0)


def _save(tokens: str, prefix: str) -> dict:
    sockets = {"tokenizer": ["1", 0], "tokens": [tokens, 0]}
    return node("TokenOpt_SaveTokens", **sockets, filename_prefix=prefix)


def _saved(run) -> str:
    """The name in the menu of Load Tokens, from the note of Save Tokens (20)."""
    note = run.outputs["20"]["tokenopt_notes"][0]
    return note.removeprefix("saved ").removesuffix(" in the output folder") + " [output]"


def _load(name: str) -> dict:
    return node("TokenOpt_LoadTokens", tokenizer=["1", 0], file=name)


def _dropped(client, file: dict) -> str:
    """The file as it is, put into the input folder as the front end does when it is dropped."""
    files = {"image": ("dropped.png", client.get("/view", **file).content, "image/png")}
    path, form = f"{client.url}/upload/image", {"overwrite": "true"}
    answer = requests.post(path, files=files, data=form, timeout=30)
    return answer.json()["name"]
