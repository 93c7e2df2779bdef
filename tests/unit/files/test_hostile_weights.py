"""Weights and configs of a tokenizer that mean harm: refused early, with the value found."""

from __future__ import annotations

import json
import struct

import pytest
import torch
from safetensors.torch import load_file

from tests.unit.hostile_files import (
    INF,
    NAN,
    MakesAFolder,
    change_header,
    change_json,
    change_pickle,
    change_tensors,
    list_again,
    list_often,
    pack,
    refused,
)
from tests.unit.tokenizer_specs import VQ, VQGAN
from tokenopt_core.files import weights as files
from tokenopt_core.tokenizers import load_tokenizer

BIAS, CODEBOOK = "encoder.ln_post.bias", "quantize.embedding.weight"


@pytest.fixture(autouse=True, scope="module")
def _modules_are_loaded():
    """What the first load of all imports is not counted as memory of a bad file."""
    load_tokenizer("demo")


@pytest.fixture
def folder(hub_layout):
    """A sound tokenizer to spoil."""
    return hub_layout(VQ)


@pytest.fixture
def weights(folder):
    return folder / "model.safetensors"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda h: h[BIAS].update(shape=[10**6, 10**6]), "invalid shape"),
        (lambda h: h[BIAS].update(shape=[2**33, 2**33]), "overflow"),
        (lambda h: h[BIAS].update(shape=[10**12], data_offsets=[0, 4 * 10**12]), "offset"),
        (lambda h: h[BIAS].update(shape=[-64]), "-64"),
        (lambda h: h[BIAS].update(h[CODEBOOK]), "offset"),
        (lambda h: h[BIAS].update(dtype="F9"), "F9"),
        (lambda h: h.update(deep="x"), "invalid"),
    ],
)
def test_a_header_that_lies(weights, change, part):
    change_header(weights, change)
    refused(lambda: load_tokenizer(weights.parent), "model.safetensors is damaged", part)


@pytest.mark.parametrize("size", [2**60, 2**64 - 1, 0])
def test_a_header_of_another_size(weights, size):
    weights.write_bytes(struct.pack("<Q", size) + weights.read_bytes()[8:])
    refused(lambda: load_tokenizer(weights.parent), "model.safetensors is damaged")


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.int64, torch.complex64])
def test_weights_of_another_type(weights, kind):
    change_tensors(weights, lambda w: w.update({BIAS: w[BIAS].to(kind)}))
    refused(lambda: load_tokenizer(weights.parent), BIAS, str(kind), "floating point")


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.float8_e4m3fn])
def test_rounded_weights_are_weights(weights, kind):
    change_tensors(weights, lambda w: w.update({BIAS: w[BIAS].to(kind)}))
    assert load_tokenizer(weights.parent).encoder.ln_post.bias.dtype == torch.float32


@pytest.mark.parametrize("value", [NAN, INF, torch.tensor(1e300, dtype=torch.float64)])
@pytest.mark.parametrize("key", [BIAS, CODEBOOK])
def test_one_number_that_is_none(weights, value, key):
    def spoil(tensors):
        tensors[key] = tensors[key].to(value.dtype)
        tensors[key].view(-1)[1] = value

    change_tensors(weights, spoil)
    refused(lambda: load_tokenizer(weights.parent), "NaN or infinite", key)


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("num_latent_tokens", 10**9, "num_tokens is 1000000000"),
        ("num_latent_tokens", 10**400, "num_tokens is 1000"),
        ("num_latent_tokens", float("nan"), "num_tokens is nan"),
        ("num_latent_tokens", "x" * 10**6, "num_tokens is 'xxx"),
        ("token_size", 10**9, "token_size is 1000000000"),
        ("codebook_size", 10**12, "codebook_size is 1000000000000"),
        ("vit_enc_model_size", {"width": 10**9, "layers": 2, "heads": 1}, "width is 1000000000"),
        ("vit_enc_model_size", {"width": 64, "layers": 10**9, "heads": 1}, "layers is 1000000000"),
        ("vit_enc_model_size", [1] * 10**5, "vit_enc_model_size is [1, 1, 1, ...]"),
        ("token_size", "${oc.env:HOME}", "token_size is '${oc.env:HOME}'"),
        ("token_size", "${" + "a." * 10**5 + "a}", "'model.vq_model.token_size' refers to 'a.a."),
        ("token_size", "${model}", "token_size is {"),
        ("use_l2_norm", "y" * 10**5, "use_l2_norm is 'yyy"),
    ],
)
def test_a_config_that_asks_for_too_much(folder, key, value, found):
    change_json(folder / "config.json", "model.vq_model", {key: value})
    refused(lambda: load_tokenizer(folder), found)


@pytest.mark.parametrize("size", [10**9, 10**400, 2**62])
def test_images_of_any_size(hub_layout, size):
    for spec in (VQ, VQGAN):
        folder = hub_layout(spec)
        change_json(folder / "config.json", "dataset.preprocessing", {"crop_size": size})
        refused(lambda folder=folder: load_tokenizer(folder), "image_size is")


def test_references_that_multiply(folder):
    """Each names the next twice, fifty times: 2**50 steps if nobody counts."""
    names = {f"a{i}": f"${{a{i + 1}.a{i + 1}}}" for i in range(50)}
    change_json(folder / "config.json", "", names)
    change_json(folder / "config.json", "model.vq_model", {"token_size": "${a0.a0.a0}"})
    refused(lambda: load_tokenizer(folder), "lead in a circle")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 100_000 + "}", "not valid JSON"),
        (" " * (17 * 2**20), "17 MiB"),
        ("\0" * 100, "not valid JSON"),
    ],
)
def test_a_config_that_is_a_bomb(folder, content, part):
    (folder / "config.json").write_text(content, encoding="utf-8")
    refused(lambda: load_tokenizer(folder), "config.json", part)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
@pytest.mark.parametrize("archive", [True, False])
def test_code_in_a_pickle_is_not_run(weights, tmp_path, suffix, archive):
    file, ran = tmp_path / f"x{suffix}", tmp_path / "ran"
    content = {**load_file(weights), "a": MakesAFolder(ran)}
    torch.save(content, file, _use_new_zipfile_serialization=archive)
    refused(lambda: load_tokenizer(file), file.name, "holds more than tensors")
    assert not ran.exists()


@pytest.mark.parametrize("mebibytes", [0, 150])
def test_a_compressed_archive(weights, tmp_path, mebibytes):
    """torch would unpack it whole, or take its packed bytes for numbers."""
    torch.save(load_file(weights), tmp_path / "plain.pt")
    pack(tmp_path / "plain.pt", tmp_path / "packed.pt", mebibytes)
    refused(lambda: load_tokenizer(tmp_path / "packed.pt"), "packed.pt is a compressed archive")


def test_an_archive_with_two_lists_of_its_entries(weights, tmp_path):
    """Python reads the list at the end, which is harmless, torch the one with the bomb."""
    torch.save(load_file(weights), tmp_path / "plain.pt")
    pack(tmp_path / "plain.pt", tmp_path / "packed.pt", 150)
    list_again(tmp_path / "packed.pt")
    refused(lambda: load_tokenizer(tmp_path / "packed.pt"), "is damaged", "list of entries")


def test_entries_that_share_their_bytes(weights, tmp_path):
    """A thousand names for one place: together they are far more than the file."""
    torch.save(load_file(weights), tmp_path / "plain.pt")
    list_often(tmp_path / "plain.pt", 1000)
    refused(lambda: load_tokenizer(tmp_path / "plain.pt"), "is damaged", "list of entries")


@pytest.mark.parametrize("mapped", [False, True])
def test_a_tensor_larger_than_its_entry(weights, tmp_path, monkeypatch, mapped):
    """Each torch refuses it in its own way: old ones only where the file is mapped."""
    if mapped or not files.MAPPED:
        monkeypatch.setattr(files, "MAPPED", mapped)
    torch.save({"a": torch.zeros(4)}, tmp_path / "plain.pt")
    four, many = b"K\x04", b"J\xff\xff\xff\x00"
    change_pickle(tmp_path / "plain.pt", lambda content: content.replace(four, many))
    refused(lambda: load_tokenizer(tmp_path / "plain.pt"), "plain.pt is damaged")


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        (BIAS, torch.zeros(1).expand(10**12), "describes 400000"),
        ("latent_tokens", torch.zeros(1).expand(10**8, 64), "describes 2560"),
        (BIAS, torch.zeros(64).to_sparse(), "sparse"),
        (BIAS, torch.zeros(64, device="meta"), "meta"),
        (3, torch.zeros(1), "tensors by name"),
    ],
)
def test_tensors_that_are_not_in_their_file(weights, tmp_path, key, value, part):
    file = tmp_path / "x.bin"
    torch.save({**load_file(weights), key: value}, file)
    refused(lambda: load_tokenizer(file), "x.bin", part)


def test_a_config_by_another_name_is_not_read(folder):
    (folder / "config.yaml").write_text("a: &a [x, x]\nb: &b [*a, *a]\n", encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({}), encoding="utf-8")
    assert load_tokenizer(folder).spec.num_tokens == VQ.num_tokens
