"""Attributes come back from files as they were; what else a file may hold gets one sentence."""

from __future__ import annotations

import json
import os

import pytest
import torch
from safetensors.torch import save_file

from tokenopt_core.tokenizers import build_tokenizer
from tokenopt_core.tokens.attributes import attribute_vector
from tokenopt_core.tokens.files import load_attribute, save_attribute

from ..tokenizer_specs import VAE, VQ


@pytest.fixture
def tokenizer():
    torch.manual_seed(0)
    return build_tokenizer(VQ)


@pytest.fixture
def attribute(tokenizer):
    present, absent = torch.randn(2, 3, 4, 6)
    names = ("dunkel, 暗い", "bright")
    return attribute_vector(tokenizer, present, absent, name="mine", names=names, positions=[1, 3])


@pytest.fixture
def file(tmp_path, attribute):
    save_attribute(tmp_path / "a.safetensors", attribute)
    return tmp_path / "a.safetensors"


def refused(file, tokenizer, *parts: str, name: str = "mine") -> None:
    with pytest.raises(ValueError, match="^file 'a.safetensors'") as error:
        load_attribute(file, tokenizer, name)
    assert "\n" not in str(error.value)
    assert len(str(error.value).split()) < 60
    for part in parts:
        assert part in str(error.value)


def test_what_was_saved_comes_back(file, attribute, tokenizer):
    found = load_attribute(file, tokenizer, "mine")
    for name in ("positions", "counts", "names", "tokenizer", "tag", "unit_length"):
        assert getattr(found, name) == getattr(attribute, name), name
    assert torch.equal(found.difference, attribute.difference)
    assert torch.equal(found.shares, attribute.shares)
    assert file.stat().st_size < 2000
    assert os.listdir(file.parent) == [file.name]  # nothing half written is left


def test_the_same_tokenizer_under_another_name(file, tokenizer):
    assert load_attribute(file, tokenizer, "renamed").tokenizer == "renamed"


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_truncated(file, tokenizer, keep):
    file.write_bytes(file.read_bytes()[:keep])
    refused(file, tokenizer, "damaged or no safetensors file")


def test_not_even_a_header(file, tokenizer):
    file.write_bytes(b"\xff" * 300)
    refused(file, tokenizer, "damaged or no safetensors file")


def test_another_kind_of_file(file, tokenizer):
    save_file({"weight": torch.zeros(3)}, file)
    refused(file, tokenizer, "holds no attribute", "Save Attribute")


def test_a_file_that_is_too_large(file, tokenizer):
    with file.open("ab") as opened:
        opened.truncate(5 * 2**20)
    refused(file, tokenizer, "5 MiB")


def test_a_file_that_is_gone(file, tokenizer):
    file.unlink()
    refused(file, tokenizer, "cannot be read")


def test_another_tokenizer(file):
    refused(file, build_tokenizer(VAE), "made with the tokenizer 'mine'", "is 'vae'", name="vae")


def test_other_weights_of_the_same_name(file):
    torch.manual_seed(1)
    refused(file, build_tokenizer(VQ), "replaced since", "make it anew")


SOUND = {
    "positions": [1],
    "counts": [3, 3],
    "names": ["a", "b"],
    "tokenizer": "mine",
    "tag": "00",
    "unit_length": True,
}


def write(file, *, tensors=None, version="1", **details) -> None:
    tensors = {"difference": torch.ones(4, 6), "shares": torch.ones(4), **(tensors or {})}
    metadata = {"format": "tokenopt-attribute", "version": version}
    metadata["details"] = json.dumps({**SOUND, **details})
    save_file(tensors, file, metadata)


@pytest.mark.parametrize(
    "details",
    [
        {"positions": []},
        {"positions": [4]},
        {"positions": [-1]},
        {"positions": [1, 1]},
        {"positions": [1.0]},
        {"positions": [True]},
        {"positions": None},
        {"counts": [0, 3]},
        {"counts": [3]},
        {"names": ["a"]},
        {"names": ["a", "b" * 10_000]},
        {"tokenizer": 5},
        {"tensors": {"difference": torch.full((4, 6), float("nan"))}},
        {"tensors": {"difference": torch.ones(4, 6).half()}},
        {"tensors": {"shares": torch.ones(5)}},
        {"tensors": {"difference": torch.ones(6)}},
    ],
)
def test_content_is_not_believed(file, tokenizer, details):
    write(file, **details)
    refused(file, tokenizer, "damaged attribute")


def test_sound_content_of_another_tokenizer_reaches_the_last_check(file, tokenizer):
    """The cases above fail for what they change, not for what all of them share."""
    write(file)
    refused(file, tokenizer, "replaced since")


def test_a_newer_version(file, tokenizer):
    write(file, version="2")
    refused(file, tokenizer, "version '2'", "update the pack")


def test_names_of_other_attributes(file, tokenizer):
    save_file({"difference": torch.ones(4, 6)}, file, {"format": "tokenopt-attribute"})
    refused(file, tokenizer, "version None")
