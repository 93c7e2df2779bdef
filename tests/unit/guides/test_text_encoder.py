"""The caption encoder: which files and settings it takes, what it reads, and what it refuses."""

from __future__ import annotations

import json
import shutil

import open_clip
import pytest
import torch
from torch.nn import functional as F

from tests.unit.hostile_files import INF, change_json, change_tensors, refused
from tokenopt_core.guides.files import CAPTION_ENCODER
from tokenopt_core.guides.guide import load_guide
from tokenopt_core.guides.text_encoder import TextEncoder, TextSize, load_text_encoder

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
TEXT = "model_cfg.text_cfg"
TEXTS = ["a red circle", "", "a photo of blue on the left"]


@pytest.fixture(scope="module")
def encoder(clip_folder):
    return load_text_encoder(clip_folder)


@pytest.fixture
def folder(clip_folder, tmp_path):
    """A model to change."""
    return shutil.copytree(clip_folder, tmp_path / "model")


def test_its_embedding_is_that_of_the_whole_model(encoder, clip_folder, untouched_rng):
    features = encoder.encode_text(TEXTS)
    assert features.sequence.shape == features.guidance.shape == (3, 12, 32)
    expected = load_guide(clip_folder).encode_text(TEXTS)
    torch.testing.assert_close(F.normalize(features.pooled, dim=-1), expected)


def test_a_text_alone_and_in_a_batch_is_the_same(encoder):
    together = encoder.encode_text(TEXTS).guidance
    for text, row in zip(TEXTS, together, strict=True):
        torch.testing.assert_close(encoder.encode_text([text]).guidance[0], row)


def test_nothing_of_the_vision_tower_is_needed_or_kept(encoder, folder):
    assert not any("visual" in key for key in encoder.state_dict())
    change_tensors(
        folder / WEIGHTS, lambda w: [w.pop(key) for key in list(w) if key.startswith("visual.")]
    )
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    del config["model_cfg"]["vision_cfg"]
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    found = load_text_encoder(folder).encode_text(TEXTS).guidance
    assert torch.equal(found, encoder.encode_text(TEXTS).guidance)


def test_the_released_tower_has_the_published_tensors():
    name, tag = CAPTION_ENCODER.split("/")
    config = open_clip.get_model_config(name)
    with torch.device("meta"):
        whole = open_clip.model.CLIP(**config)
        own = TextEncoder(name, TextSize(embed_dim=config["embed_dim"], **config["text_cfg"]))
    shapes = {key: value.shape for key, value in own.state_dict().items()}
    text = {k: v.shape for k, v in whole.state_dict().items() if not k.startswith("visual.")}
    assert text.pop("logit_scale") == ()
    assert shapes == text
    assert sum(weight.numel() for weight in own.parameters()) == 123_650_304
    assert open_clip.get_pretrained_cfg(name, tag)["quick_gelu"] is True


@pytest.mark.parametrize(("said", "asked"), [(None, False), (False, False), (True, True)])
def test_the_activation_is_the_configurations_unless_it_is_asked_for(folder, said, asked):
    if said is not None:
        change_json(folder / CONFIG, "model_cfg", {"quick_gelu": said})
    assert load_text_encoder(folder).quick_gelu == asked
    other = load_text_encoder(folder, not asked)
    assert other.quick_gelu != asked
    found = [each.encode_text(TEXTS).pooled for each in (load_text_encoder(folder), other)]
    assert (found[0] - found[1]).abs().max() > 1e-4


def test_a_released_model_put_there_by_hand(clip_folder, tmp_path, monkeypatch):
    config = json.loads((clip_folder / CONFIG).read_text(encoding="utf-8"))
    (tmp_path / "Tiny-Caption.json").write_text(json.dumps(config["model_cfg"]), encoding="utf-8")
    open_clip.add_model_config(tmp_path / "Tiny-Caption.json")
    facts = {"hf_hub": "lab/guide/", "quick_gelu": True}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "Tiny-Caption", {"tag": facts})
    shutil.copytree(clip_folder, tmp_path / "models" / "Tiny-Caption" / "tag")
    found = load_text_encoder("Tiny-Caption/tag", models_dir=tmp_path / "models")
    assert found.quick_gelu
    expected = load_text_encoder(clip_folder, True).encode_text(TEXTS)
    torch.testing.assert_close(found.encode_text(TEXTS).guidance, expected.guidance)


def test_a_text_is_filled_up_with_zeros_whatever_the_tokenizer_takes(encoder, folder):
    change_json(folder / "tokenizer_config.json", "", {"pad_token": "[EOS]"})
    assert torch.equal(load_text_encoder(folder).ids(TEXTS), encoder.ids(TEXTS))
    assert (encoder.ids(TEXTS)[1] == 0).sum() == 10  # after start and end


def test_long_captions_and_unknown_words_are_told(encoder, caplog):
    encoder.encode_text(["red " * 20, "a zebra"])
    assert 'the caption "red red' in caplog.text
    assert "has 22 tokens and caption encoder" in caplog.text
    assert 'does not know "zebra": use other words' in caplog.text
    assert encoder.ids(["red " * 20])[0, -1] == encoder.ids(["red"]).max()


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ([1, 2], "a torch.Tensor"),
        (torch.zeros(2, dtype=torch.int64), "shape (2,)"),
        (torch.zeros(1, 13, dtype=torch.int64), "t up to 12"),
        (torch.zeros(1, 12), "torch.float32"),
        (torch.full((1, 12), 99), "between 99 and 99, expected 0 to"),
        (torch.full((1, 12), -1), "between -1 and -1"),
    ],
)
def test_ids_that_are_none(encoder, ids, found):
    refused(lambda: encoder(ids), found)


@pytest.mark.parametrize(
    ("place", "key", "value", "found"),
    [
        (TEXT, "heads", 5, "multiple of heads 5"),
        (TEXT, "layers", 1.5, "layers is 1.5"),
        (TEXT, "pool_type", "last", "pool_type is 'last'"),
        (TEXT, "width", 10**9, "text_cfg.width 1000000000"),
        (TEXT, "width", 64, "token_embedding.weight of shape"),
        (TEXT, "layers", 3, "no transformer.resblocks.2"),
        (TEXT, "layers", 1, "an unknown transformer.resblocks.1"),
        (TEXT, "hf_model_name", "roberta-base", "would be fetched"),
        ("model_cfg", "embed_dim", None, "embed_dim is None"),
        ("model_cfg", "text_cfg", 3, "no model_cfg.text_cfg"),
    ],
)
def test_settings(folder, place, key, value, found):
    change_json(folder / CONFIG, place, {key: value})
    refused(lambda: load_text_encoder(folder), found)


def test_a_number_that_is_none(folder):
    change_tensors(folder / WEIGHTS, lambda w: w["text_projection"].fill_(INF))
    refused(lambda: load_text_encoder(folder), "NaN or infinite", "text_projection")


def test_words_of_another_tokenizer(folder):
    """Such a folder reads ids; a text needs the tokenizer that belongs to it."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    del config["model_cfg"]["text_cfg"]["hf_tokenizer_name"]
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    encoder = load_text_encoder(folder)
    assert encoder(torch.zeros(1, 12, dtype=torch.int64)).pooled.shape == (1, 24)
    refused(lambda: encoder.encode_text(["red"]), "has 20 words, its tokenizer 49408")


def test_a_name_that_is_none():
    refused(lambda: load_text_encoder("ViT-L-14-337/openai"), "ViT-L-14-337/openai", "expected")
