"""Loading: what a name or path may be, and files that change afterwards."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from tests.unit.tokenizer_specs import VQ
from tokenopt_core.files.weights import fill, read_weights
from tokenopt_core.tokenizers import build_tokenizer, load_tokenizer


@pytest.mark.parametrize("name", ["titok-l33", "TITOK-L32", "titok_l32"])
def test_unknown_names_bring_up_the_nearest_ones(name):
    with pytest.raises(ValueError, match=f"{name!r}, which is not there: .*titok-l32") as error:
        load_tokenizer(name)
    assert len(str(error.value).split()) < 40


@pytest.mark.parametrize("source", ["", "a\0b", "x" * 5000, "~no.such-user/x"])
def test_what_no_file_can_be_called_is_not_there(source):
    with pytest.raises(ValueError, match="not there: expected a name like ") as error:
        load_tokenizer(source)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("source", [None, 3])
def test_sources_that_are_no_text(source):
    with pytest.raises(TypeError, match=f"tokenizer is {source}, expected a name or a path"):
        load_tokenizer(source)


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_overwriting_the_file_changes_nothing_that_is_loaded(hub_layout, tmp_path, suffix):
    file = hub_layout(VQ) / "model.safetensors"
    if suffix == ".bin":
        torch.save(load_file(file), tmp_path / "model.bin")
        file = tmp_path / "model.bin"
    tokenizer, images = load_tokenizer(file), torch.rand(1, 3, 16, 16)
    before = tokenizer.encode(images)
    with file.open("r+b") as opened:
        opened.write(bytes(file.stat().st_size))
    assert before.any()
    assert torch.equal(tokenizer.encode(images), before)


def test_loading_needs_no_second_copy_of_the_network(hub_layout):
    """Each tensor that was read is given up as soon as it is copied."""
    path = hub_layout(VQ) / "model.safetensors"
    weights = read_weights(path)
    names = set(weights)
    with torch.device("meta"):
        tokenizer = build_tokenizer(VQ)
    fill(tokenizer, path, weights, "tokenizer", "cpu", lambda key: torch.float32)
    assert set(tokenizer.state_dict()) == names
    assert not weights


def test_a_config_file_stands_for_its_folder(hub_layout):
    path = hub_layout(VQ)
    assert load_tokenizer(path / "config.json").spec == load_tokenizer(path).spec == VQ
