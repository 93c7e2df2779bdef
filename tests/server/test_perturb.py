"""Token Perturb Search in a real ComfyUI: what it finds, shows and refuses, and that it stops."""

from __future__ import annotations

import numpy as np
import pytest

from devtools.comfyui.checks import fails_with, node, succeed
from devtools.comfyui.client import PromptRefused
from tests.server.test_bad_input import save_tiny

SHARE = 0.02  # 20 of 1024 codes


@pytest.fixture
def search(scene):
    """4 encode, 5 the search of one position, 6 saves its images, 7 its sheet, 8 tells its codes,
    9 decodes its tokens, 10 tells its table."""
    return scene | {
        "4": node("TokenOpt_Encode", tokenizer=["1", 0], image=["3", 0]),
        "5": node(
            "TokenOpt_PerturbSearch",
            tokenizer=["1", 0],
            tokens=["4", 0],
            positions="6",
            search="guided",
            share=SHARE,
            direction="maximize",
            top_k=3,
        ),
        "6": node("PreviewImage", images=["5", 0]),
        "7": node("PreviewImage", images=["5", 4]),
        "8": node("Hostile_Digest", value=["5", 2], nonce=0),
        "9": node("PreviewImage", images=["11", 0]),
        "10": node("Hostile_Digest", value=["5", 3], nonce=0),
        "11": node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["5", 1]),
    }


def rows(run) -> list[dict[str, str]]:
    """The table, one dictionary a line."""
    lines = [line.strip("| ").split("|") for line in run.outputs["10"]["digest"][0].splitlines()]
    head, _, *cells = [[cell.strip() for cell in line] for line in lines]
    return [dict(zip(head, row, strict=True)) for row in cells]


def refused_with(client, graph, *parts: str) -> None:
    """One sentence, from the node or (choices, in newer versions) from ComfyUI's own check."""
    try:
        fails_with(client, graph, *parts)
        return
    except PromptRefused as refused:
        messages = refused.messages
    assert any(parts[0] in message for message in messages)


def pictures(client, run, number: str) -> np.ndarray:
    return np.stack([np.asarray(i.convert("RGB")) for i in client.images(run, number)]) / 255


def test_images_tokens_codes_table_and_sheet_tell_the_same(client, search):
    search["5"]["inputs"]["positions"] = "6, 15"
    run = succeed(client, search)
    images = pictures(client, run, "6")
    assert images.shape == (2 * 2 * 3, 64, 64, 3)
    assert np.abs(images - pictures(client, run, "9")).max() <= 1 / 255
    told = rows(run)
    assert [(r["image"], r["position"], r["rank"]) for r in told[:4]] == [
        ("0", "6", "1"),
        ("0", "6", "2"),
        ("0", "6", "3"),
        ("0", "15", "1"),
    ]
    codes = [line.split() for line in run.outputs["8"]["digest"][0].splitlines()]
    assert [row[int(r["position"])] for row, r in zip(codes, told, strict=True)] == [
        r["new code"] for r in told
    ]
    losses = [float(r["loss"]) for r in told]
    assert losses[:3] == sorted(losses[:3], reverse=True)
    assert len(client.images(run, "7")) == 2
    (progress,) = {most for _, most in run.progress("5")}
    assert run.progress("5")[-1] == (progress, progress)
    assert run.previews
    assert "compared 20 of 1023 other codes" in run.outputs["5"]["tokenopt_notes"][-1]


def test_a_prompt_chooses_by_text_and_each_image_has_its_own(client, search):
    search["12"] = node(
        "TokenOpt_ClipLoss",
        guide=["2", 0],
        prompt="a dark scene\na bright scene",
        negative_prompt="",
        random_crops=True,
        crops=1,
        weight=1.0,
        negative_weight=0.5,
        mirror=False,
    )
    search["5"]["inputs"].update(loss=["12", 0], direction="minimize", top_k=1)
    run = succeed(client, search)
    dark = rows(run)[0]
    assert float(dark["loss"]) < float(dark["before"])
    darker, brighter = pictures(client, run, "6").mean((1, 2, 3))
    assert darker < brighter
    search["5"]["inputs"]["direction"] = "maximize"
    assert "away from what it asks for" in " ".join(
        succeed(client, search).outputs["5"]["tokenopt_notes"]
    )


def test_a_mask_says_where_changes_count(client, search):
    search["12"] = node("SolidMask", value=0.0, width=64, height=64)
    search["13"] = node("SolidMask", value=1.0, width=20, height=20)
    search["14"] = node(
        "MaskComposite", destination=["12", 0], source=["13", 0], x=0, y=0, operation="add"
    )
    search["5"]["inputs"].update(mask=["14", 0], positions="4", top_k=1)
    told = rows(succeed(client, search))
    search["5"]["inputs"]["mask"] = ["12", 0]
    fails_with(client, search, "mask is 0 everywhere")
    assert all(float(r["loss"]) > 0 for r in told)


def test_a_saved_workflow_with_the_former_method_gradient_runs_as_guided(client, search):
    search["5"]["inputs"].update(search="gradient", top_k=2)
    old = rows(succeed(client, search))
    search["5"]["inputs"]["search"] = "guided"
    assert rows(succeed(client, search)) == old


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"positions": "16"}, ("positions", "'16'", "0 to 15")),
        ({"positions": "3-"}, ("positions", "'3-'")),
        ({"positions": "all", "top_k": 64, "tokens": ["15", 0]}, ("4 images", "2048")),
        ({"search": "best"}, ("search", "'best'")),
        ({"direction": "up"}, ("direction", "'up'")),
        ({"loss": ["16", 0]}, ("loss", "expected")),
    ],
)
def test_refused_in_one_sentence(client, search, changes, parts):
    search["15"] = node(
        "TokenOpt_RandomTokens", tokenizer=["1", 0], seed=0, batch_size=4, scale=1.0
    )
    search["16"] = node("Hostile_OddLoss", kind="one number")
    search["5"]["inputs"].update(changes)
    refused_with(client, search, *parts)


def test_a_vae_and_tokens_of_another_tokenizer(client, server, search):
    save_tiny(server, "other", kind="vae")
    search["12"] = node("TokenOpt_LoadTokenizer", tokenizer="other")
    search["5"]["inputs"]["tokenizer"] = ["12", 0]
    fails_with(client, search, "tokens came from the tokenizer", "'other'")
    search["4"]["inputs"]["tokenizer"] = ["12", 0]
    fails_with(client, search, "tokenizer 'other' is a VAE", "codebook")


def test_cancel_ends_it_within_a_batch_and_the_next_prompt_works(client, search):
    slow = {**search, "5": node("TokenOpt_PerturbSearch", **search["5"]["inputs"])}
    slow["5"]["inputs"].update(positions="all", search="exact")
    seen = []

    def cancel(event):
        if event.kind == "progress" and event.node == "5":
            seen.append(event.data["value"])
            if len(seen) == 2:
                client.interrupt()

    run = client.run(slow, on_event=cancel)
    assert run.status == "interrupted"
    assert len(seen) <= 4
    search["5"]["inputs"].update(top_k=2)
    succeed(client, search)


def test_the_sheet_of_many_images_shows_the_first(client, search):
    many = {"tokenizer": ["1", 0], "seed": 1, "batch_size": 64, "scale": 1.0}
    search["4"] = node("TokenOpt_RandomTokens", **many)
    search["5"]["inputs"].update(top_k=8, share=0.001)
    search["12"] = node("Hostile_Digest", value=["5", 4], nonce=0)
    search["13"] = node("Hostile_Digest", value=["5", 0], nonce=0)
    for number in ("6", "7", "9", "11"):
        del search[number]
    run = succeed(client, search)
    pages, height, width, _ = run.outputs["12"]["shape"]
    assert run.outputs["13"]["shape"][0] == 64 * 8
    assert pages < 64
    assert 0 < len(run.previews) <= 2 + run.seconds / 0.4  # not one picture a result
    assert pages * height * width <= 2**26 < (pages + 1) * height * width
    assert f"the first {pages} of 64 images" in " ".join(run.outputs["5"]["tokenopt_notes"])
