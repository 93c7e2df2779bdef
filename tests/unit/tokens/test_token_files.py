"""Tokens in files: exact, and refused where they do not fit."""

from __future__ import annotations

import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from tokenopt_core.files import small as small_files
from tokenopt_core.tokens.files import SUFFIX, load_tokens, save_tokens


@pytest.fixture
def path(tmp_path):
    return tmp_path / f"image_00001_{SUFFIX}"


@pytest.mark.parametrize("state", ["features", "codes", "tokens"])
def test_there_and_back_exactly(path, tokenizer, features, state):
    tokens = tokenizer.quantize(features).tokens if state == "codes" else features
    save_tokens(path, tokenizer, tokens, state != "features", "tiny")
    assert list(load_file(path)) == [state]
    loaded, quantized = load_tokens(path, tokenizer, "tiny")
    assert torch.equal(loaded, tokens)
    assert quantized == (state != "features")
    assert list(path.parent.iterdir()) == [path]


def test_a_vae_and_tokens_made_under_inference_mode(path, vae):
    with torch.inference_mode():
        tokens = torch.randn(2, 6, 8).transpose(0, 0)[:, :, ::1]
    for quantized in (False, True):
        save_tokens(path, vae, tokens, quantized, "vae")
        loaded = load_tokens(path, vae, "vae")
        assert torch.equal(loaded[0], tokens)
        assert loaded[1] == quantized


def test_nothing_is_left_of_a_failed_write(path, tokenizer, features, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(small_files.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        save_tokens(path, tokenizer, features, False, "tiny")
    assert not list(path.parent.iterdir())


def test_tokens_of_another_tokenizer(path, tokenizer, make_tokenizer, features):
    save_tokens(path, tokenizer, features, False, "tiny")
    other = make_tokenizer(l2_normalized=False)
    with pytest.raises(ValueError, match="made with the tokenizer 'tiny', but the connected one"):
        load_tokens(path, other, "other")
    with pytest.raises(ValueError, match="another tokenizer of the name 'tiny'.*replaced"):
        load_tokens(path, other, "tiny")


def test_damaged_files(path, tokenizer, features):
    save_tokens(path, tokenizer, features, False, "tiny")
    whole = path.read_bytes()
    header = struct.unpack("<Q", whole[:8])[0]
    huge = {"features": {"dtype": "F32", "shape": [2**40, 6, 12], "data_offsets": [0, 2**50]}}
    huge_header = json.dumps(huge).encode()
    for spoilt in (
        b"",
        whole[:5],
        whole[:-1],
        whole[: header // 2],
        struct.pack("<Q", 2**62) + whole[8:],
        struct.pack("<Q", 90_000_000) + whole[8:],
        struct.pack("<Q", len(huge_header)) + huge_header + whole[8 + header :],
        b"\x80\x04\x95" + whole,
        b"PK\x03\x04" * 300,
    ):
        path.write_bytes(spoilt)
        with pytest.raises(ValueError, match=r"'image_00001_.tokens.*' is damaged or no"):
            load_tokens(path, tokenizer, "tiny")


def test_files_that_hold_something_else(path, tokenizer, features):
    save_file({"features": features}, path)
    with pytest.raises(ValueError, match="holds no tokens, expected one written by Save Tokens"):
        load_tokens(path, tokenizer, "tiny")
    with path.open("wb") as file:
        file.truncate(small_files.MOST_BYTES + 1)
    with pytest.raises(ValueError, match="has 64 MiB, expected at most 64"):
        load_tokens(path, tokenizer, "tiny")


@pytest.mark.parametrize(
    "content",
    [
        {"codes": torch.full((2, 6), 64, dtype=torch.int32)},
        {"codes": torch.full((2, 6), -1, dtype=torch.int32)},
        {"codes": torch.zeros(2, 5, dtype=torch.int32)},
        {"codes": torch.zeros(2, 6)},
        {"features": torch.full((2, 6, 12), torch.nan)},
        {"features": torch.zeros(2, 6, 11)},
        {"features": torch.zeros(0, 6, 12)},
        {"features": torch.zeros(2, 6, 12, dtype=torch.float64)},
        {"weights": torch.zeros(2, 6, 12)},
    ],
    ids=lambda content: "-".join(f"{k}{tuple(v.shape)}{v.dtype}" for k, v in content.items()),
)
def test_content_that_does_not_fit(path, tokenizer, features, content):
    save_tokens(path, tokenizer, features, False, "tiny")
    raw = path.read_bytes()
    metadata = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])["__metadata__"]
    save_file(content, path, metadata)
    with pytest.raises(ValueError, match="that do not fit, expected 6 codes or tokens per image"):
        load_tokens(path, tokenizer, "tiny")
    save_file(content, path, {**metadata, "version": "2"})
    with pytest.raises(ValueError, match="has version '2', expected '1'"):
        load_tokens(path, tokenizer, "tiny")
