"""Loading of generators: folders, files and configs, whole and damaged."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.unit.generators.conftest import SPEC, tiny_generator
from tokenopt_core.generators import (
    RELEASES,
    SamplingConfig,
    known_generators,
    load_generator,
    save_generator,
)
from tokenopt_core.generators import registry as generator_registry
from tokenopt_core.hub import DownloadError
from tokenopt_core.tokenizers import save_tokenizer

NAMED = replace(SPEC, class_names=tuple(f"thing {i}" for i in range(10)))


@pytest.fixture
def folder(tmp_path, generator):
    save_generator(generator, tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.mark.parametrize("kind", ["imagebert", "uvitbert"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_saved_and_loaded_again(kind, dtype, tmp_path):
    best = SamplingConfig(steps=5, guidance_schedule="cosine", anneal=True, temperature=0.0)
    best = best.resolved(SPEC.recommended)
    generator = tiny_generator(replace(NAMED, kind=kind, recommended=best))
    save_generator(generator, tmp_path / "tiny", dtype)
    loaded = load_generator(tmp_path / "tiny")
    assert loaded.spec == generator.spec
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    for key, value in generator.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value.to(dtype).float())


def test_a_released_architecture_is_recognized_in_a_file_of_another_name():
    """As the settings that go with it are."""
    from tokenopt_core.generators import build_generator
    from tokenopt_core.generators.reading import make_spec

    for release in RELEASES.values():
        with torch.device("meta"):
            state = build_generator(release.spec).state_dict()
        spec = make_spec("mine", {key: tuple(value.shape) for key, value in state.items()}, None)
        assert spec == replace(release.spec, name="mine")


def test_configs_of_the_first_version(folder):
    settings = {"dropout": 0.1, "num_steps": 8, "guidance_decay": True, "image_seq_len": "${n}"}
    config = {"model": {"generator": settings}, "n": 8}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    spec = load_generator(folder).spec
    assert spec.recommended.guidance_schedule == "linear"
    assert spec.network.heads == 16


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_size": 64}, "hidden_size is 64, but the weights have 48"),
        ({"num_hidden_layers": 500}, "num_hidden_layers is 500, but the weights have 2"),
        ({"image_seq_len": 9}, "image_seq_len is 9, but the weights have 8"),
        ({"condition_num_classes": 1000}, "condition_num_classes is 1000, but the weights have 10"),
        ({"model_type": "UViT"}, "model_type is 'UViT', but the weights have ViT"),
        ({"num_attention_heads": 5}, "ViT width 48 is not a multiple of its 5 heads"),
        ({"num_attention_heads": "4"}, "heads is '4', expected a whole number"),
        ({"num_steps": 0}, "steps is 0: expected an integer from 1"),
        ({"guidance_decay": "steep"}, "guidance_schedule is 'steep': expected one of"),
        ({"class_names": ["one"]}, r"class_names is \['one'\], expected 10 texts"),
        ({"image_seq_len": "${nope}"}, "refers to 'nope', which config.json does not have"),
    ],
)
def test_a_config_that_does_not_fit(folder, settings, message):
    config = {"model": {"generator": settings}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load_generator(folder)


def test_missing_unknown_and_broken_tensors(folder):
    file = folder / "model.safetensors"
    whole = load_file(file)
    for change, message in (
        (lambda w: w.pop("model.lm_head.bias"), "does not fit its generator: it has no model.lm_"),
        (lambda w: w.update(extra=torch.zeros(1)), "it has an unknown extra"),
        (lambda w: w.update({"model.lm_head.bias": torch.zeros(3)}), r"of shape \(3,\) instead"),
        (lambda w: w["model.lm_head.bias"].fill_(torch.nan), "has NaN or infinite numbers in mod"),
        (lambda w: w.update({"model.lm_head.weight": torch.zeros(3)}), "describe no generator"),
    ):
        weights = {key: value.clone() for key, value in whole.items()}
        change(weights)
        save_file(weights, file)
        with pytest.raises(ValueError, match=message):
            load_generator(folder)


def test_a_tokenizer_is_no_generator(tmp_path, tokenizer):
    save_tokenizer(tokenizer, tmp_path / "tokenizer")
    with pytest.raises(ValueError, match="has no tensor .*expected the weights of an ImageBert or"):
        load_generator(tmp_path / "tokenizer")


def test_unknown_names_and_absent_weights(tmp_path):
    with pytest.raises(ValueError, match=r"generator is 'titok-l33', which is not there: .*titok"):
        load_generator("titok-l33")
    with pytest.raises(TypeError, match="generator is 3, expected a name or a path"):
        load_generator(3)
    with pytest.raises(DownloadError, match="titok-l32"):
        load_generator("titok-l32", models_dir=tmp_path, download=False)


def test_the_demo_is_known_where_its_weights_are(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(generator_registry, "DEMO_GENERATOR", tmp_path / "nothing")
    assert known_generators() == ("titok-l32", "titok-b64", "titok-s128")
    with pytest.raises(ValueError, match="generator is 'demo', which is not there"):
        load_generator("demo")
