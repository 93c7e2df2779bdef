"""Guides whose files are damaged, do not fit, or ask for more than files."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys

import open_clip.timm_model
import pytest
import torch
from safetensors.torch import save_file

from tests.unit.hostile_files import change_json
from tokenopt_core.guides.guide import load_guide

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
WORDS = 60  # longer messages are not one sentence


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def folder(clip_folder, tmp_path):
    """A guide to spoil."""
    return shutil.copytree(clip_folder, tmp_path / "guide")


def fails(folder, *parts: str) -> None:
    with pytest.raises(ValueError, match=".") as error:
        load_guide(folder)
    message = str(error.value)
    assert "\n" not in message
    assert len(message.split()) <= WORDS, message
    for part in (str(folder), *parts):
        assert part in message


class Code:
    """Makes a folder where it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_with_code_in_it(folder, tmp_path):
    (folder / WEIGHTS).unlink()
    torch.save({"a": Code(tmp_path / "ran")}, folder / "open_clip_pytorch_model.bin")
    fails(folder, "open_clip_pytorch_model.bin", "holds more than tensors")
    assert not (tmp_path / "ran").exists()


def test_cut_weights(folder):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:5000])
    fails(folder, WEIGHTS, "damaged or incomplete", "get it again")


def test_weights_of_another_model(folder):
    save_file({"x": torch.zeros(1)}, folder / WEIGHTS)
    fails(folder, WEIGHTS, "check that both belong together")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("{", "is not valid JSON"),
        ("[]", "holds [], expected a JSON object"),
        ("{}", "has no model_cfg.vision_cfg"),
        ('{"model_cfg": {"vision_cfg": {}, "text_cfg": 3}}', "has no model_cfg.text_cfg"),
    ],
)
def test_a_configuration_that_is_none(folder, content, part):
    (folder / CONFIG).write_text(content, encoding="utf-8")
    fails(folder, CONFIG, part)


def change(folder, part: str, **values) -> None:
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    config["model_cfg"][part] |= values
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("text_cfg", "hf_model_name", "xlm-roberta-base"),
        ("vision_cfg", "timm_model_pretrained", True),
        ("vision_cfg", "timm_model_name", "hf-hub:owner/name"),
    ],
)
def test_what_would_be_fetched_is_refused(folder, part, key, value):
    change(folder, part, **{key: value})
    fails(folder, CONFIG, f"{part}.{key}", repr(value))


def test_settings_that_open_clip_does_not_know(folder):
    change(folder, "vision_cfg", nonsense=3)
    fails(folder, "do not make a model", "nonsense")


def test_a_tokenizer_with_code_of_its_own(folder, tmp_path):
    ran = tmp_path / "ran"
    (folder / "mine.py").write_text(f"import os; os.mkdir({str(ran)!r})", encoding="utf-8")
    own = {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["mine.Mine", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(own), encoding="utf-8")
    change(folder, "text_cfg", tokenizer_kwargs={"trust_remote_code": True})
    fails(folder, "tokenizer_config.json", "auto_map", "never run")
    assert not ran.exists()


def test_a_broken_tokenizer(folder):
    (folder / "tokenizer.json").write_text("{", encoding="utf-8")
    fails(folder, "the text tokenizer in", "get tokenizer.json and tokenizer_config.json again")


@pytest.mark.parametrize("dtype", [torch.float64, "half", torch.int8])
def test_unusable_dtype(clip_folder, dtype):
    with pytest.raises(ValueError, match=f"dtype is {dtype}, expected one of torch.float32"):
        load_guide(clip_folder, dtype=dtype)


@pytest.fixture
def released(clip_folder, tmp_path, monkeypatch):
    """A name in open_clip's table of released models, for the weights in clip_folder."""
    import open_clip
    from open_clip import pretrained

    config = json.loads((clip_folder / CONFIG).read_text(encoding="utf-8"))
    (tmp_path / "Tiny-Test.json").write_text(json.dumps(config["model_cfg"]), encoding="utf-8")
    open_clip.add_model_config(tmp_path / "Tiny-Test.json")
    facts = {"hf_hub": "lab/guide/", "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    monkeypatch.setitem(pretrained._PRETRAINED, "Tiny-Test", {"tag": facts})
    return "Tiny-Test/tag"


def test_a_released_guide_put_there_by_hand(released, clip_folder, tmp_path):
    place = tmp_path / "models" / "Tiny-Test" / "tag"
    place.mkdir(parents=True)
    for name in (WEIGHTS, "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(clip_folder / name, place)
    guide = load_guide(released, models_dir=tmp_path / "models")
    assert (guide.name, guide.mean, guide.std) == (released, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    expected = load_guide(clip_folder).encode_text(["a red circle"])
    torch.testing.assert_close(guide.encode_text(["a red circle"]), expected)


@pytest.mark.parametrize("package", ["open_clip", "transformers", "timm"])
def test_a_package_that_cannot_be_imported_is_no_fault_of_the_files(folder, monkeypatch, package):
    if package == "timm":  # open_clip has tried to import it, and goes on without
        monkeypatch.setattr(open_clip.timm_model, "timm", None)
        change_json(folder / CONFIG, "model_cfg.vision_cfg", {"timm_model_name": "resnet18"})
    else:
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"cannot be imported .*{package}.*; run: ") as error:
        load_guide(folder)
    message = str(error.value)
    assert f"{sys.executable} -m pip install -r " in message
    assert "\n" not in message
    assert len(message.split()) <= WORDS, message
