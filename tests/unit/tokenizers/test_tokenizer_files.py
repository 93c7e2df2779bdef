"""Loading: folders, weights files and configs, whole and damaged."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.unit.tokenizer_specs import LEGACY, VQ
from tokenopt_core.files.weights import read_weights
from tokenopt_core.tokenizers import RELEASES, build_tokenizer, config_of, load_tokenizer
from tokenopt_core.tokenizers.config import look_up
from tokenopt_core.tokenizers.spec import Recommended


@pytest.mark.parametrize("name", RELEASES)
def test_config_of_names_survives_json(name):
    config = json.loads(json.dumps(config_of(RELEASES[name].spec)))
    assert look_up(config, "dataset.preprocessing.crop_size") == 256


def test_recommended_settings_are_kept_in_the_config(hub_layout):
    best = Recommended(lr=0.25, lr_schedule="cosine")
    assert load_tokenizer(hub_layout(replace(VQ, recommended=best))).spec.recommended == best
    assert load_tokenizer(hub_layout(VQ)).spec.recommended == Recommended()
    path = hub_layout(VQ)
    config = json.loads((path / "config.json").read_text("utf-8"))
    for name, value in (("lr", -1), ("lr", "fast"), ("lr", True), ("lr_schedule", "steep")):
        bad = config | {"recommended": {name: value}}
        (path / "config.json").write_text(json.dumps(bad), encoding="utf-8")
        with pytest.raises(ValueError, match=rf"{name} is .*, expected (a number|one of)"):
            load_tokenizer(path)


def test_norm_groups_are_kept_in_the_config(hub_layout):
    """Weights do not tell them; widths that 32 groups cannot divide are possible too."""
    stage = replace(LEGACY.pixel_stage, hidden_channels=16, norm_groups=4)
    path = hub_layout(replace(LEGACY, pixel_stage=stage))
    loaded = load_tokenizer(path)
    assert loaded.spec.pixel_stage == stage
    assert loaded.pixel_decoder.norm_out.num_groups == 4
    config = json.loads((path / "config.json").read_text("utf-8"))
    for groups, message in ((5, "16, expected a multiple of 5"), ("all", "norm_groups is 'all'")):
        config["model"]["vq_model"]["pixel_stage"]["norm_groups"] = groups
        (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            load_tokenizer(path)
    assert load_tokenizer(hub_layout(LEGACY)).spec.pixel_stage.norm_groups == 32


def test_unusable_dtype(hub_layout):
    with pytest.raises(ValueError, match="dtype is torch.int8, expected one of torch.float32"):
        load_tokenizer(hub_layout(VQ), dtype=torch.int8)


def change_weights(path, change):
    weights = load_file(path / "model.safetensors")
    change(weights)
    save_file(weights, path / "model.safetensors")


def test_missing_unknown_and_misshapen_tensors_are_named(hub_layout):
    path = hub_layout(VQ)
    change_weights(path, lambda w: w.pop("encoder.ln_post.bias"))
    with pytest.raises(ValueError, match=r"does not fit its tokenizer: it has no encoder.ln_post"):
        load_tokenizer(path)
    path = hub_layout(VQ)
    change_weights(path, lambda w: w.update(extra=torch.zeros(1)))
    with pytest.raises(ValueError, match="it has an unknown extra"):
        load_tokenizer(path)
    path = hub_layout(VQ)
    change_weights(path, lambda w: w.update({"encoder.ln_post.bias": torch.zeros(3)}))
    with pytest.raises(ValueError, match=r"ln_post.bias of shape \(3,\) instead of \(64,\)"):
        load_tokenizer(path)
    path = hub_layout(VQ)
    change_weights(path, lambda w: [w.pop(k) for k in list(w) if "transformer.1." in k])
    with pytest.raises(ValueError, match="it has no encoder.transformer.1.*and 21 more"):
        load_tokenizer(path)


def test_other_models_are_refused(tmp_path):
    save_file({"conv.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="has no tensor 'encoder.patch_embed.weight': expected"):
        load_tokenizer(tmp_path / "other.safetensors")


@pytest.mark.parametrize("left", [0, 4, 40, -100])
def test_truncated_files_are_named(hub_layout, left):
    file = hub_layout(VQ) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(ValueError, match=r"model.safetensors is damaged or incomplete .*get it"):
        load_tokenizer(file.parent)


def test_pickles_are_read_without_running_them(hub_layout, tmp_path):
    weights = load_file(hub_layout(VQ) / "model.safetensors")
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


def test_what_a_config_says_counts_and_the_rest_is_inferred(hub_layout):
    path = hub_layout(VQ)
    file = path / "config.json"
    assert json.loads(file.read_text(encoding="utf-8"))["model"]["vq_model"]["use_l2_norm"]
    file.write_text('{"model": {"vq_model": {"use_l2_norm": true}}, "losses": {"x": 1}}', "utf-8")
    assert load_tokenizer(path).spec == VQ
    file.unlink()
    assert load_tokenizer(path).spec == replace(VQ, l2_normalized=False)
    vq_model = {"num_latent_tokens": "${model.n}", "use_l2_norm": "${flags.norm}"}
    config = {"model": {"vq_model": vq_model, "n": "${n}"}, "n": 4, "flags": {"norm": True}}
    file.write_text(json.dumps(config), encoding="utf-8")
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
        ({"use_l2_norm": "false"}, "use_l2_norm is 'false', expected true or false"),
        ({"is_legacy": 0}, "is_legacy is 0, expected true or false"),
        ({"finetune_decoder": True}, "finetune_decoder is True, but the weights have no pixel_d"),
        ({"token_size": "${nope}"}, "'model.vq_model.token_size' refers to 'nope', which config"),
        (
            {"vit_enc_model_size": {"width": 64, "layers": 500, "heads": 1}},
            "502 blocks are described, but there are 75 tensors",
        ),
    ],
)
def test_a_config_that_does_not_fit(hub_layout, vq_model, message):
    path = hub_layout(VQ)
    (path / "config.json").write_text(json.dumps({"model": {"vq_model": vq_model}}), "utf-8")
    with pytest.raises(ValueError, match=message):
        load_tokenizer(path)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_config_that_is_none(hub_layout, content):
    path = hub_layout(VQ)
    (path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"config.json (is not valid JSON|holds \[\])"):
        load_tokenizer(path)


def test_folders_without_one_weights_file(hub_layout, tmp_path):
    with pytest.raises(FileNotFoundError, match="has no weights, expected model.safetensors"):
        load_tokenizer(tmp_path)
    path = hub_layout(VQ)
    (path / "model.safetensors").rename(path / "mine.safetensors")
    assert load_tokenizer(path).spec == VQ
    save_file({"x": torch.zeros(1)}, path / "second.safetensors")
    with pytest.raises(FileNotFoundError, match=r"has mine.safetensors, second.safetensors, exp"):
        load_tokenizer(path)


def test_a_header_that_lies_about_its_length(hub_layout):
    file = hub_layout(VQ) / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(struct.pack("<Q", 2**40) + content[8:])
    with pytest.raises(ValueError, match="damaged or incomplete"):
        load_tokenizer(file.parent)


def test_a_config_with_a_byte_order_mark(hub_layout):
    file = hub_layout(VQ) / "config.json"
    file.write_text(file.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert load_tokenizer(file.parent).spec == VQ


def test_the_state_dict_in_a_trainers_file(hub_layout, tmp_path):
    weights = load_file(hub_layout(VQ) / "model.safetensors")
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "mine.ckpt")
    tokenizer = load_tokenizer(tmp_path / "mine.ckpt")
    assert torch.equal(tokenizer.latent_tokens, weights["latent_tokens"])


@pytest.mark.parametrize("number", ["99999999", "7", "x"])
def test_a_block_with_a_number_of_its_own_makes_no_other_blocks(hub_layout, number):
    path = hub_layout(VQ)
    (path / "config.json").unlink()
    key = f"encoder.transformer.{number}.ln_1.weight"
    change_weights(path, lambda w: w.update({key: torch.zeros(1)}))
    with pytest.raises(ValueError, match=f"it has an unknown {key}"):
        load_tokenizer(path)


def test_a_direct_tokenizer_has_no_pixel_stage(hub_layout):
    path = hub_layout(VQ)
    config = {"model": {"vq_model": {"pixel_stage": {"channel_mult": 3}}}}
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ValueError, match="pixel_stage is given, but the weights have no such"):
        load_tokenizer(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_a_file_that_cannot_be_opened_is_named(tmp_path, suffix):
    """Nor can a folder, by an administrator either."""
    path = tmp_path / f"model{suffix}"
    path.mkdir()
    with pytest.raises(ValueError, match=f"model{suffix} cannot be read"):
        read_weights(path)
