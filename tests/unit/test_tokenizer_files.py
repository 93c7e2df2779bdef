"""Loading: names, folders, weights files and configs, whole and damaged."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from tokenopt_core.tokenizers import (
    RELEASES,
    TokenizerSpec,
    ViTSize,
    build_tokenizer,
    config_of,
    known_tokenizers,
    load_tokenizer,
    save_tokenizer,
)
from tokenopt_core.tokenizers.config import look_up

VQ = TokenizerSpec(
    name="vq",
    image_size=16,
    num_tokens=4,
    token_size=6,
    codebook_size=32,
    l2_normalized=True,
    encoder=ViTSize(width=64, layers=2, heads=1),
    decoder=ViTSize(width=64, layers=2, heads=1),
    encoder_patch=8,
    decoder_patch=8,
)


@pytest.fixture
def folder(tmp_path):
    """Spec -> folder in hub layout with random weights, written anew at each call."""

    def save(spec):
        torch.manual_seed(0)
        save_tokenizer(build_tokenizer(spec), tmp_path / spec.name)
        return tmp_path / spec.name

    return save


@pytest.mark.parametrize("name", RELEASES)
def test_config_of_names_survives_json(name):
    config = json.loads(json.dumps(config_of(RELEASES[name].spec)))
    assert look_up(config, "dataset.preprocessing.crop_size") == 256


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match="'titok-x', which is not there") as error:
        load_tokenizer("titok-x")
    assert all(name in str(error.value) for name in known_tokenizers())


def test_unusable_dtype(folder):
    with pytest.raises(ValueError, match="dtype is torch.int8, expected one of torch.float32"):
        load_tokenizer(folder(VQ), dtype=torch.int8)


def change_weights(path, change):
    weights = load_file(path / "model.safetensors")
    change(weights)
    save_file(weights, path / "model.safetensors")


def test_missing_unknown_and_misshapen_tensors_are_named(folder):
    path = folder(VQ)
    change_weights(path, lambda w: w.pop("encoder.ln_post.bias"))
    with pytest.raises(ValueError, match=r"does not fit its tokenizer: it has no encoder.ln_post"):
        load_tokenizer(path)
    path = folder(VQ)
    change_weights(path, lambda w: w.update(extra=torch.zeros(1)))
    with pytest.raises(ValueError, match="it has an unknown extra"):
        load_tokenizer(path)
    path = folder(VQ)
    change_weights(path, lambda w: w.update({"encoder.ln_post.bias": torch.zeros(3)}))
    with pytest.raises(ValueError, match=r"ln_post.bias of shape \(3,\) instead of \(64,\)"):
        load_tokenizer(path)
    path = folder(VQ)
    change_weights(path, lambda w: [w.pop(k) for k in list(w) if "transformer.1." in k])
    with pytest.raises(ValueError, match="it has no encoder.transformer.1.*and 21 more"):
        load_tokenizer(path)


def test_other_models_are_refused(tmp_path):
    save_file({"conv.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="has no tensor 'encoder.patch_embed.weight': expected"):
        load_tokenizer(tmp_path / "other.safetensors")


@pytest.mark.parametrize("left", [0, 4, 40, -100])
def test_truncated_files_are_named(folder, left):
    file = folder(VQ) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(ValueError, match=r"model.safetensors is damaged or incomplete .*get it"):
        load_tokenizer(file.parent)


def test_pickles_are_read_without_running_them(folder, tmp_path):
    weights = load_file(folder(VQ) / "model.safetensors")
    file = tmp_path / "weights.bin"
    torch.save(weights, file)
    assert load_tokenizer(file).spec == replace(VQ, name="weights", l2_normalized=False)
    torch.save(weights, file, _use_new_zipfile_serialization=False)
    assert load_tokenizer(file).spec.num_tokens == 4
    for content in (b"", b"\x80\x02.", file.read_bytes()[:5000]):
        (tmp_path / "cut.bin").write_bytes(content)
        with pytest.raises(ValueError, match="cut.bin is damaged or"):
            load_tokenizer(tmp_path / "cut.bin")
    torch.save(weights, file)
    (tmp_path / "cut.bin").write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(ValueError, match="cut.bin is damaged or"):
        load_tokenizer(tmp_path / "cut.bin")
    torch.save({"model": weights, "step": 3}, file)
    with pytest.raises(ValueError, match="expected a state_dict: tensors by name"):
        load_tokenizer(file)
    torch.save(build_tokenizer(VQ), file)
    with pytest.raises(ValueError, match="holds more than tensors"):
        load_tokenizer(file)


def test_what_a_config_says_counts_and_the_rest_is_inferred(folder):
    path = folder(VQ)
    file = path / "config.json"
    assert json.loads(file.read_text())["model"]["vq_model"]["use_l2_norm"]
    file.write_text('{"model": {"vq_model": {"use_l2_norm": true}}, "losses": {"x": 1}}')
    assert load_tokenizer(path).spec == VQ
    file.unlink()
    assert load_tokenizer(path).spec == replace(VQ, l2_normalized=False)
    vq_model = {"num_latent_tokens": "${model.n}", "use_l2_norm": "${flags.norm}"}
    config = {"model": {"vq_model": vq_model, "n": "${n}"}, "n": 4, "flags": {"norm": True}}
    file.write_text(json.dumps(config))
    assert load_tokenizer(path).spec == VQ


@pytest.mark.parametrize(
    ("vq_model", "message"),
    [
        ({"vit_enc_model_size": "huge"}, "vit_enc_model_size is 'huge', expected one of small, b"),
        ({"vit_dec_model_size": {"width": 64}}, "or an object with width, layers and heads"),
        ({"num_latent_tokens": "four"}, "num_tokens is 'four', expected a whole number"),
        ({"num_latent_tokens": 5}, r"of shape \(4, 64\) instead of \(5, 64\)"),
        ({"codebook_size": 33}, r"quantize.embedding.weight of shape \(32, 6\) instead of"),
        ({"token_size": "${model.vq_model.token_size}"}, "lead in a circle"),
        ({"pixel_stage": 3}, "pixel_stage is 3, expected an object"),
    ],
)
def test_a_config_that_does_not_fit(folder, vq_model, message):
    path = folder(VQ)
    (path / "config.json").write_text(json.dumps({"model": {"vq_model": vq_model}}))
    with pytest.raises(ValueError, match=message):
        load_tokenizer(path)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_config_that_is_none(folder, content):
    path = folder(VQ)
    (path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"config.json (is not valid JSON|holds list)"):
        load_tokenizer(path)


def test_folders_without_one_weights_file(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="has no weights, expected model.safetensors"):
        load_tokenizer(tmp_path)
    path = folder(VQ)
    (path / "model.safetensors").rename(path / "mine.safetensors")
    assert load_tokenizer(path).spec == VQ
    save_file({"x": torch.zeros(1)}, path / "second.safetensors")
    with pytest.raises(FileNotFoundError, match=r"has mine.safetensors, second.safetensors, exp"):
        load_tokenizer(path)


def test_a_header_that_lies_about_its_length(folder):
    file = folder(VQ) / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(struct.pack("<Q", 2**40) + content[8:])
    with pytest.raises(ValueError, match="damaged or incomplete"):
        load_tokenizer(file.parent)
