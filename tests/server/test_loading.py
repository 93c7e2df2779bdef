"""The loaders and the files on disk: found, listed, replaced, overwritten, missing."""

from __future__ import annotations

import os
import shutil

import pytest

from tokenopt_core.tokenizers import load_tokenizer, save_tokenizer


@pytest.fixture
def models(server):
    """models/titok, with a folder of its own for each test."""
    place = server.base / "models" / "titok" / "loading"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def graph(workflow):
    """Load, draw a scene (seed 0), encode, decode, save."""

    def make(tokenizer: str, seed: int = 0):
        edit = workflow("text_edit")
        scene = edit["3"] | {"inputs": edit["3"]["inputs"] | {"seed": seed}}
        link = {"tokenizer": ["1", 0]}
        return {
            "1": {"class_type": "TokenOpt_LoadTokenizer", "inputs": {"tokenizer": tokenizer}},
            "3": scene,
            "4": {"class_type": "TokenOpt_Encode", "inputs": {**link, "image": ["3", 0]}},
            "5": {"class_type": "TokenOpt_Decode", "inputs": {**link, "tokens": ["4", 0]}},
            "6": {"class_type": "PreviewImage", "inputs": {"images": ["5", 0]}},
        }

    return make


def save(folder, zero: bool = False):
    tokenizer = load_tokenizer("demo")
    for parameter in tokenizer.parameters():
        parameter.data *= 0 if zero else 1
    save_tokenizer(tokenizer, folder)
    return folder


def offered(client) -> list[str]:
    declared = client.object_info()["TokenOpt_LoadTokenizer"]["input"]["required"]["tokenizer"]
    return declared[1]["options"] if isinstance(declared[0], str) else declared[0]


def test_what_is_listed(client, models):
    folder = save(models / "sub" / "deep")
    shutil.copytree(folder, models / ".titok-l32.partial")
    (models / ".titok-l32.partial" / "config.json").unlink()
    shutil.copy(folder / "model.safetensors", models / "single.safetensors")
    mine = [name for name in offered(client) if "loading" in name]
    assert mine == ["loading/single.safetensors", "loading/sub/deep"]


def test_replaced_weights_are_loaded(client, models, graph):
    folder = save(models / "mine")
    name = "loading/mine"
    before = client.run(graph(name))
    assert before.status == "success", before.error
    assert "1" in client.run(graph(name, seed=1)).cached
    new = save(models / "new", zero=True)
    os.replace(new / "model.safetensors", folder / "model.safetensors")
    after = client.run(graph(name))
    assert "1" in after.executed
    assert client.images(before, "6")[0].tobytes() != client.images(after, "6")[0].tobytes()


def test_weights_may_be_overwritten_while_they_are_in_use(client, models, graph):
    folder = save(models / "mine")
    assert client.run(graph("loading/mine")).status == "success"
    os.truncate(folder / "model.safetensors", 1000)
    run = client.run(graph("loading/mine", seed=2))
    assert run.status == "error"  # found out, instead of the end of the server
    assert "model.safetensors is damaged" in run.error["exception_message"]
    assert client.run(graph("demo", seed=2)).status == "success"


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need an administrator there")
def test_a_link_that_leads_nowhere(client, models, graph):
    folder = save(models / "mine")
    (folder / "notes.json").symlink_to(models / "gone")
    run = client.run(graph("loading/mine"))
    assert run.status == "success", run.error


def test_an_unknown_name_is_answered_shortly(client, graph):
    message = client.run(graph("titok-l33")).error["exception_message"]
    assert "did you mean one of titok-l32" in message
    assert len(message.split()) < 30
