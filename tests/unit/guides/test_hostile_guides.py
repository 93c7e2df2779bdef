"""Guides that mean harm: refused before open_clip allocates or computes, with the value found."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from tests.unit.hostile_files import INF, NAN, change_json, change_tensors, refused
from tokenopt_core.guides.guide import load_guide

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
VISION, TEXT = "model_cfg.vision_cfg", "model_cfg.text_cfg"


@pytest.fixture
def folder(guide, clip_folder, tmp_path):
    """A guide to spoil; a sound one has been loaded before, so that modules cost nothing here."""
    return shutil.copytree(clip_folder, tmp_path / "guide")


@pytest.mark.parametrize(
    ("place", "key", "value", "found"),
    [
        (VISION, "width", 10**9, "vision_cfg.width 1000000000"),
        (VISION, "width", 16384, "describes a model of"),
        (VISION, "layers", 10**9, "vision_cfg.layers 1000000000"),
        (VISION, "layers", [10**6] * 4, "vision_cfg.layers [1000000"),
        (VISION, "image_size", 10**6, "vision_cfg.image_size 1000000"),
        (VISION, "image_size", -32, "vision_cfg.image_size -32"),
        (VISION, "timm_model_name", "vit_giant_patch14_224", "describes a model of"),
        (TEXT, "vocab_size", 10**12, "text_cfg.vocab_size 1000000000000"),
        (TEXT, "context_length", 10**7, "text_cfg.context_length 10000000"),
        (TEXT, "width", float("nan"), "text_cfg.width nan"),
        (TEXT, "tokenizer_kwargs", {"cache_dir": "x"}, "'cache_dir'"),
        (TEXT, "hf_model_name", "x" * 10**6, "hf_model_name 'xxx"),
        ("model_cfg", "embed_dim", 10**9, "model_cfg.embed_dim 1000000000"),
        ("preprocess_cfg", "mean", [float("nan")] * 3, "the mean [nan, nan, nan]"),
        ("preprocess_cfg", "mean", [0.5], "the mean [0.5]"),
        ("preprocess_cfg", "std", [0, 0, 0], "the std"),
        ("preprocess_cfg", "std", [1e-45, 1, 1], "the std"),
    ],
)
def test_settings(folder, place, key, value, found):
    change_json(folder / CONFIG, place, {key: value})
    refused(lambda: load_guide(folder), found)


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"custom_text": True, "multimodal_cfg": {"width": 64}}, "is a CoCa model"),
        ({"vision_cfg": {"width": 2048, "layers": 2}, "text_cfg": {"bogus": 1}}, "bogus"),
        ({"text_cfg": {"vocab_size": 10**6, "width": 1024, "heads": 7}}, "do not make a model"),
    ],
)
def test_what_open_clip_would_fail_to_build_costs_no_memory(folder, more, found):
    """It builds part after part, and finds a fault when the earlier parts are in memory."""
    change_json(folder / CONFIG, "model_cfg", more)
    refused(lambda: load_guide(folder), found)


@pytest.mark.parametrize("file", [CONFIG, "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "\0"])
def test_json_bombs(folder, file, content):
    (folder / file).write_text(content, encoding="utf-8")
    refused(lambda: load_guide(folder), str(folder))


@pytest.mark.parametrize("key", ["visual.proj", "text_projection", "logit_scale"])
@pytest.mark.parametrize("value", [NAN, INF])
def test_numbers_that_are_none(folder, key, value):
    change_tensors(folder / WEIGHTS, lambda w: w[key].fill_(value))
    refused(lambda: load_guide(folder), "NaN or infinite", key)


def test_packed_weights(folder):
    change_tensors(folder / WEIGHTS, lambda w: w.update(x=torch.zeros(9, dtype=torch.int8)))
    refused(lambda: load_guide(folder), "torch.int8")


@pytest.mark.parametrize("number", [10**6, 2**31, -1])
def test_words_beyond_the_vocabulary(folder, number):
    """They would be read beside the table, or end the server."""
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["model"]["vocab"]["red"] = number
    file.write_text(json.dumps(content), encoding="utf-8")
    refused(lambda: load_guide(folder), "tokenizer")


def test_a_tokenizer_that_cannot_pad(folder):
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "os.system"}', "utf-8")
    refused(lambda: load_guide(folder), "the text tokenizer in")
