"""Guides from a real open_clip folder: preprocessing, tokenizer, frozen weights, clear words."""

from __future__ import annotations

import json
import logging
import shutil
import socket

import pytest
import torch

from tokenopt_core.guides.guide import KNOWN_GUIDES, Guide, load_guide


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def copy_of(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "guide")


def test_a_local_folder_loads_without_network_and_frozen(clip_folder, no_network):
    guide = load_guide(clip_folder)
    assert (guide.kind, guide.image_size, guide.context_length) == ("clip", 32, 12)
    assert guide.mean == (0.4, 0.5, 0.6)
    assert guide.std == (0.2, 0.25, 0.3)
    assert not guide.training
    assert not any(parameter.requires_grad for parameter in guide.parameters())


def test_features_are_those_of_open_clip(clip_folder, guide):
    import open_clip

    name = f"local-dir:{clip_folder}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    model.eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    normalize = preprocess.transforms[-1]
    texts = ["a red circle", "a photo of a blue square on the left"]
    with torch.no_grad():
        by_hand = model.encode_image(normalize(images), normalize=True)
        words = model.encode_text(open_clip.get_tokenizer(name)(texts), normalize=True)
    torch.testing.assert_close(guide.encode_image(images), by_hand)
    torch.testing.assert_close(guide.encode_text(texts), words)


def test_features_have_unit_length_and_gradients(guide):
    images = torch.rand(2, 3, 32, 32).requires_grad_()
    features = guide.encode_image(images)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2))
    features[:, 0].sum().backward()
    assert images.grad.abs().sum() > 0


def test_a_weights_file_stands_for_its_folder(clip_folder, guide):
    other = load_guide(clip_folder / "open_clip_model.safetensors")
    torch.testing.assert_close(other.encode_text(["a"]), guide.encode_text(["a"]))


def test_a_bias_makes_it_siglip(siglip_folder):
    assert load_guide(siglip_folder).kind == "siglip"


def test_loading_under_inference_mode_gives_weights_for_gradients(clip_folder):
    with torch.inference_mode():
        guide = load_guide(clip_folder)
        text = guide.encode_text(["a red circle"])
    assert text.shape == (1, 24)
    assert not any(tensor.is_inference() for tensor in guide.state_dict().values())
    images = torch.rand(1, 3, 32, 32).requires_grad_()
    guide.encode_image(images).sum().backward()
    assert images.grad is not None


def test_only_the_image_tower_moves_and_changes_type(clip_folder):
    guide = load_guide(clip_folder, dtype=torch.bfloat16)
    assert {tensor.dtype for tensor in guide.parameters()} == {torch.bfloat16}
    assert all(name.startswith("visual.") for name in guide.state_dict())
    assert guide.encode_text(["a"]).dtype == torch.float32
    assert guide.encode_image(torch.rand(1, 3, 32, 32)).dtype == torch.float32


def test_unknown_words_are_named_in_one_warning(guide, caplog):
    with caplog.at_level(logging.WARNING):
        guide.encode_text(["a red zebra on the left", "Wombat, a circle", "zebra"])
    assert [record.getMessage().count('"zebra", "Wombat"') for record in caplog.records] == [1]


def test_a_long_prompt_is_cut_with_a_warning(guide, caplog):
    text = "a photo of a red circle on the left , bright ."
    with caplog.at_level(logging.WARNING):
        guide.encode_text([text])
    assert len(caplog.records) == 1
    assert "has 14 tokens" in caplog.text
    assert "reads 12" in caplog.text


def test_what_the_guide_reads_raises_no_remark(guide):
    assert guide.remarks(["A photo of a Red circle"]) == []


def test_the_byte_pair_tokenizer_of_the_classic_models_is_understood():
    import open_clip

    from tokenopt_core.guides.prompt_tokenizer import PromptTokenizer

    tokenizer = PromptTokenizer(open_clip.get_tokenizer("ViT-B-32"))
    assert tokenizer.context_length == 77
    assert tokenizer.vocabulary_size == 49408
    assert tokenizer.remarks(["a zebra"], "guide x") == []
    assert "has 102 tokens and guide x reads 77" in tokenizer.remarks(["fox " * 100], "guide x")[0]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("open_clip_config.json", "no open_clip_config.json"),
        ("open_clip_model.safetensors", "no weights: put open_clip_model.safetensors there"),
        ("tokenizer_config.json", "no tokenizer_config.json"),
    ],
)
def test_a_missing_file_is_named(clip_folder, tmp_path, missing, message):
    folder = copy_of(clip_folder, tmp_path)
    (folder / missing).unlink()
    with pytest.raises(FileNotFoundError, match=message):
        load_guide(folder)


def test_a_tokenizer_with_too_many_words_is_refused(clip_folder, tmp_path):
    folder = copy_of(clip_folder, tmp_path)
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    del config["model_cfg"]["text_cfg"]["hf_tokenizer_name"]
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(
        ValueError, match='has 20 words, its tokenizer 49408: .*"hf_tokenizer_name"'
    ):
        load_guide(folder)


@pytest.mark.parametrize(
    "source", ["nonsense", "ViT-B-32/laion2b_s34b_b78k", "ViT-B-3/laion2b_s34b_b79k", ""]
)
def test_an_unknown_name_brings_up_the_nearest_ones(source, no_network):
    with pytest.raises(ValueError, match=r"\(like .*(laion2b_s34b_b79k|SigLIP)"):
        load_guide(source)


def test_images_of_another_size_are_refused(guide):
    with pytest.raises(ValueError, match=r"\(1, 3, 16, 16\): expected \(b, 3, 32, 32\)"):
        guide.encode_image(torch.rand(1, 3, 16, 16))


def test_a_guide_that_is_not_square_is_refused(clip_folder):
    import open_clip

    from tokenopt_core.guides.prompt_tokenizer import PromptTokenizer

    name = f"local-dir:{clip_folder}"
    model = open_clip.create_model(name)
    model.visual.preprocess_cfg["size"] = (32, 48)
    with pytest.raises(ValueError, match="expected a square"):
        Guide("wide", model, PromptTokenizer(open_clip.get_tokenizer(name)))


def test_the_guides_that_are_offered_exist():
    import open_clip

    for name in KNOWN_GUIDES[1:]:
        model, tag = name.split("/")
        assert tag in open_clip.list_pretrained_tags_by_model(model), name
