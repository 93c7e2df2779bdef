"""Every released model has exactly the published tensors, and its config says what it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tokenopt_core import generators
from tokenopt_core.generators.reading import config_of as generator_config
from tokenopt_core.generators.reading import make_spec as generator_spec
from tokenopt_core.tokenizers import RELEASES, build_tokenizer, config_of, known_tokenizers
from tokenopt_core.tokenizers.config import make_spec

CHECKPOINTS = Path(__file__).parents[1] / "golden" / "checkpoints"


def published_name(name: str) -> str:
    """titok-ll32-vae -> tokenizer_titok_ll32_vae_c16"""
    if name == "maskgit-vqgan":
        return "maskgit_vqgan"
    suffix = "_c16" if name.startswith("titok") and name.endswith("-vae") else ""
    return f"tokenizer_{name.replace('-', '_')}{suffix}"


def published_generator(name: str) -> str:
    return f"generator_{name.replace('-', '_')}"


def test_all_published_tables_are_covered():
    names = {published_name(name) for name in RELEASES}
    names |= {published_generator(name) for name in generators.RELEASES}
    assert names == {f.stem for f in CHECKPOINTS.iterdir()}
    assert known_tokenizers() == ("demo", *RELEASES)


@pytest.mark.parametrize("name", RELEASES)
def test_keys_and_shapes(name):
    release = RELEASES[name]
    file = CHECKPOINTS / f"{published_name(name)}.json"
    table = json.loads(file.read_text(encoding="utf-8"))
    published = {key: tuple(value["shape"]) for key, value in table["state_dict"].items()}
    with torch.device("meta"):
        tokenizer = build_tokenizer(release.spec)
    assert {k: tuple(v.shape) for k, v in tokenizer.state_dict().items()} == published
    assert sum(p.numel() for p in tokenizer.parameters()) == table["num_params"]
    assert release.repo == table["hub_repo"]
    assert list(release.files) == table["files"].get("hub", [table["files"].get("bin")])
    for config in (None, table["config"], config_of(release.spec)):
        assert make_spec(name, published, config) == release.spec
    stripped = replace(release.spec, name="other")
    assert make_spec("other", published, config_of(stripped)) == stripped


@pytest.mark.parametrize("name", generators.RELEASES)
def test_keys_and_shapes_of_generators(name):
    release = generators.RELEASES[name]
    file = CHECKPOINTS / f"{published_generator(name)}.json"
    table = json.loads(file.read_text(encoding="utf-8"))
    published = {key: tuple(value["shape"]) for key, value in table["state_dict"].items()}
    with torch.device("meta"):
        generator = generators.build_generator(release.spec)
    assert {k: tuple(v.shape) for k, v in generator.state_dict().items()} == published
    assert sum(p.numel() for p in generator.parameters()) == table["num_params"]
    assert release.repo == table["hub_repo"]
    assert list(release.files) == table["files"]["hub"]
    for config in (None, table["config"], generator_config(release.spec)):
        assert generator_spec(name, published, config) == release.spec
    settings = table["config"]["model"]["generator"]
    assert release.spec.recommended.steps == settings["num_steps"]
    assert release.spec.recommended.temperature == settings["randomize_temperature"]
