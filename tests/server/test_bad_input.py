"""One wrong input of each kind gives one clear sentence, from validation or from the node."""

from __future__ import annotations

import json

import pytest

from devtools.comfyui.checks import fails_with, node, succeed
from devtools.comfyui.client import PromptRefused
from tests.server.conftest import CAPTION


@pytest.fixture
def edit(workflow):
    """The shipped text edit, one step; see test_nodes.py for its numbers."""
    graph = workflow("text_edit")
    graph["5"]["inputs"] |= CAPTION
    graph["6"]["inputs"].update(steps=1, preview_every=0)
    return graph


@pytest.mark.parametrize(
    ("number", "key", "value", "kind"),
    [
        ("6", "steps", 0, "value_smaller_than_min"),
        ("6", "tokens", ["3", 0], "return_type_mismatch"),
        ("5", "crops", 1000, "value_bigger_than_max"),
        ("6", "lr", "fast", "invalid_input_type"),
        ("6", "lr", -0.1, "value_smaller_than_min"),
        ("5", "weight", -1.0, "value_smaller_than_min"),
        ("5", "weight", 1001.0, "value_bigger_than_max"),
    ],
)
def test_refused_before_it_runs(client, edit, number, key, value, kind):
    edit[number]["inputs"][key] = value
    with pytest.raises(PromptRefused) as refused:
        client.run(edit)
    assert any(kind in message and key in message for message in refused.value.messages)


@pytest.mark.parametrize(
    ("number", "key", "value"),
    [
        ("1", "tokenizer", "../../secret.safetensors"),
        ("2", "model", "no such model"),
        ("3", "shape", "hexagon"),
        ("6", "regularize", "seeds"),
    ],
)
def test_unknown_choice(client, edit, number, key, value):
    """ComfyUI 0.3.75 does not check the choices of V3 nodes, so the nodes do; later ones may."""
    edit[number]["inputs"][key] = value
    try:
        message = client.run(edit).error["exception_message"]
    except PromptRefused as refused:
        (message,) = refused.messages
    assert key in message
    assert repr(value) in message


def test_missing_loss(client, edit):
    del edit["6"]["inputs"]["loss"]
    with pytest.raises(PromptRefused, match="required_input_missing"):
        client.run(edit)


@pytest.mark.parametrize(
    ("positions", "found"),
    [("", "''"), ("first", "'first'"), ("99", "'99'"), ("7-3", "'7-3'"), ("1;-2", "'1;-2'")],
)
def test_positions(client, workflow, positions, found):
    graph = workflow("token_copy")
    graph["8"]["inputs"]["positions"] = positions
    fails_with(client, graph, "positions", found, "0 to 15")


def test_copy_between_batches(client, workflow):
    graph = workflow("token_copy")
    graph["2"]["inputs"]["batch_size"] = 2
    graph["3"]["inputs"]["batch_size"] = 3
    fails_with(client, graph, "reference has 3 images and target 2")


@pytest.mark.parametrize("kind", ["two channels", "nan", "no batch"])
def test_images(client, edit, kind):
    edit["9"] = node("Hostile_OddImage", image=["3", 0], kind=kind)
    edit["4"]["inputs"]["image"] = ["9", 0]
    fails_with(client, edit, "image", "expected")


@pytest.mark.parametrize(("prompt", "found"), [("", "empty"), (" \n ", "empty"), (None, "null")])
def test_empty_prompt(client, edit, prompt, found):
    edit["5"]["inputs"]["prompt"] = prompt
    fails_with(client, edit, f"prompt is {found}")


def test_number_of_prompts(client, edit):
    edit["3"]["inputs"]["batch_size"] = 3
    edit["5"]["inputs"]["prompt"] = "a red star\na green star"
    fails_with(client, edit, "prompt has 2 lines for 3 images")


def test_reset_to_two_known_pictures(client, workflow):
    graph = workflow("inpaint")
    graph["11"]["inputs"]["loss_a"] = graph["11"]["inputs"]["loss_b"]
    fails_with(client, graph, "reset_every", "exactly one L1 Masked Loss", "found 2")


def test_reset_without_known_pixels_does_nothing_and_says_so(client, edit):
    edit["6"]["inputs"]["reset_every"] = 1
    (said,) = succeed(client, edit).outputs["6"]["tokenopt_notes"]
    assert "reset_every is 1, but does nothing: there is no L1 Masked Loss" in said


def test_one_step_with_everything_on(client, edit):
    edit["6"]["inputs"].update(ema=True, token_noise=True, regularize="seed", reg_weight=100.0)
    run = succeed(client, edit)
    assert run.progress("6") == [(1, 1)]
    assert client.images(run, "8")[0].size == (64, 64)


@pytest.mark.parametrize("weight", [1000.0, -1000.0])
def test_huge_weights(client, edit, weight):
    """A million in all: Adam does not mind the size of a loss."""
    edit["5"]["inputs"]["weight"] = 1000.0
    edit["9"] = node("TokenOpt_CombineLosses", loss_a=["5", 0], loss_b=["5", 0], weight_a=weight)
    edit["6"]["inputs"].update(loss=["9", 0], steps=4)
    run = succeed(client, edit)
    assert run.outputs["6"]["tokenopt_notes"] == []
    (report,) = run.outputs["6"]["tokenopt"]
    assert abs(json.loads(report)["loss_last"][0]) > 1000


def test_mask_that_keeps_nothing(client, workflow):
    graph = workflow("inpaint")
    graph["4"]["inputs"]["value"] = 1.0
    fails_with(client, graph, "mask is 1 everywhere")


def test_batch_of_targets(client, workflow):
    graph = workflow("inpaint")
    graph["20"] = node("RepeatImageBatch", image=["3", 0], amount=3)
    graph["10"]["inputs"]["image"] = ["20", 0]
    fails_with(client, graph, "image of L1 Masked Loss has a batch of 3", "1 images")


@pytest.mark.parametrize("user", ["6", "10", "11"])
def test_tokens_of_another_tokenizer(client, edit, other_tokenizer, user):
    edit["9"] = node("TokenOpt_LoadTokenizer", tokenizer=other_tokenizer)
    edit["10"] = node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["4", 0])
    edit["11"] = node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=["4", 0])
    edit["12"] = node("PreviewImage", images=["10", 0])
    edit["13"] = node("Hostile_Digest", value=["11", 1], nonce=0)
    edit[user]["inputs"]["tokenizer"] = ["9", 0]
    fails_with(client, edit, "tokens came from the tokenizer", "'demo'", "'other'")


@pytest.fixture
def other_tokenizer(server) -> str:
    """Name of a tiny VAE with random weights that a user put into models/titok."""
    save_tiny(server, "other", kind="vae")
    return "other"


def save_tiny(server, name: str, spread: float = 0.0, **details) -> None:
    """With random weights; so small at first that its images are black, `spread` adds to them."""
    import torch

    from tokenopt_core.tokenizers import TokenizerSpec, ViTSize, build_tokenizer, save_tokenizer

    size = ViTSize(width=32, layers=1, heads=1)
    sizes = {"image_size": 32, "num_tokens": 4, "token_size": 8}
    towers = {"encoder": size, "decoder": size, "encoder_patch": 8, "decoder_patch": 8}
    spec = TokenizerSpec(name=name, **sizes, **towers, **details)
    tokenizer = build_tokenizer(spec)
    source = torch.Generator().manual_seed(1)
    for weight in tokenizer.parameters():
        weight.data += spread * torch.randn(weight.shape, generator=source)
    save_tokenizer(tokenizer, server.base / "models" / "titok" / name)


def test_a_broken_file_says_what_is_wrong(client, server, edit, other_tokenizer):
    folder = server.base / "models" / "titok" / "broken"
    folder.mkdir(parents=True, exist_ok=True)
    weights = server.base / "models" / "titok" / "other" / "model.safetensors"
    (folder / "model.safetensors").write_bytes(weights.read_bytes()[:3000])
    (folder / "config.json").write_text("{}", encoding="utf-8")
    edit["1"]["inputs"]["tokenizer"] = "broken"
    fails_with(client, edit, "model.safetensors")


def test_a_local_vae_runs_and_has_no_codes(client, edit, other_tokenizer):
    edit["1"]["inputs"]["tokenizer"] = other_tokenizer
    edit["9"] = node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=["6", 1])
    edit["10"] = node("Hostile_Digest", value=["9", 1], nonce=0)
    run = client.run(edit)
    assert run.status == "success", run.error
    assert run.outputs["10"]["digest"] == [""]
    assert client.images(run, "8")[0].size == (32, 32)
