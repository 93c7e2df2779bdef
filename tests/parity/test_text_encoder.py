"""The caption encoder against open_clip's text tower and the two official ways to read it.

Loaded through `load_text_encoder` from a folder in open_clip layout.
"""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from tokenopt_core.guides.text_encoder import load_text_encoder

TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def folder(golden, tmp_path_factory):
    """The fixture as a hub folder, with tensors of a vision tower that nobody may miss."""
    fixture, folder = golden("text_tower"), tmp_path_factory.mktemp("text_tower")
    sizes = fixture.meta["config"]
    names = {"context": "context_length", "vocab": "vocab_size"}
    text = {names.get(key, key): sizes[key] for key in ("width", "layers", "heads", *names)}
    config = {"model_cfg": {"embed_dim": sizes["embed_dim"], "text_cfg": text}}
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    weights = fixture.weights | {"visual.proj": torch.zeros(3, 3)}
    assert "logit_scale" in weights
    save_file(weights, folder / "open_clip_model.safetensors")
    return folder


@pytest.mark.parametrize("quick", [False, True])
def test_all_outputs_with_either_activation(folder, golden, close, quick):
    reference, name = golden("text_tower"), "quickgelu" if quick else "gelu"
    found = load_text_encoder(folder, quick)(reference["ids"])
    close(f"text_tower: {name}", found.sequence, reference[f"{name}.seq"], TOLERANCE)
    close(f"text_tower: {name}", found.pooled, reference[f"{name}.pooled"][:, 0], TOLERANCE)
    close(f"text_tower: {name}", found.guidance, reference[f"{name}.guidance"], TOLERANCE)


def test_what_is_behind_a_text_is_read(folder, golden):
    """Why the padding must be the official one: nothing masks it."""
    encoder, ids = load_text_encoder(folder), golden("text_tower")["ids"]
    other = ids.clone()
    other[other == 0] = 59
    assert (encoder(ids).guidance - encoder(other).guidance)[0].abs().max() > 0.1
