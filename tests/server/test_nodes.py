"""The nodes in a real ComfyUI: cancel, cache, odd images, hostile neighbours, untouched inputs."""

from __future__ import annotations

import numpy as np
import pytest

from devtools.comfyui.checks import node, pixels, succeed

STEPS = 6


@pytest.fixture
def edit(workflow):
    """The shipped text edit, short; nodes: 1 tokenizer, 2 guide, 3 scene, 4 encode, 5 clip loss,
    6 optimizer, 7 and 8 save."""
    graph = workflow("text_edit")
    assert graph["6"]["class_type"] == "TokenOpt_Optimize"
    graph["6"]["inputs"].update(steps=STEPS, preview_every=0, seed=0)
    graph["5"]["inputs"].update(crops=2)
    return graph


def test_every_input_is_explained(client):
    for name, info in client.object_info().items():
        if name.startswith("TokenOpt_"):
            for group in ("required", "optional"):
                for key, (_, options) in info["input"].get(group, {}).items():
                    assert options.get("tooltip"), f"{name}.{key}"
            assert all(info["output_tooltips"]), name
            assert client.get(f"/extensions/tokenopt/docs/{name}.md").text.startswith("# ")


def test_second_run_is_cached_and_a_changed_seed_runs_only_what_depends_on_it(client, edit):
    edit["6"]["inputs"]["seed"] = 31
    succeed(client, edit)
    assert succeed(client, edit).executed == []
    edit["6"]["inputs"]["seed"] = 32
    assert succeed(client, edit).executed == ["6", "8"]


def test_same_result_after_everything_was_unloaded(client, edit):
    first = pixels(client, succeed(client, edit), "8")
    client.free()
    run = succeed(client, edit)
    assert "6" in run.executed
    np.testing.assert_array_equal(pixels(client, run, "8"), first)


def test_report_previews_and_progress(client, edit):
    edit["6"]["inputs"].update(preview_every=2, seed=41)
    run = succeed(client, edit)
    assert run.progress("6") == [(i, STEPS) for i in range(1, STEPS + 1)]
    assert len(run.previews) == STEPS // 2
    assert max(run.previews[0].image.size) == 512
    (report,) = run.outputs["6"]["tokenopt"]
    assert all(key in report for key in ("loss_first", "loss_last", "seconds", "steps"))


def test_cancel_stops_within_one_step_and_the_next_prompt_works(client, edit):
    slow = {**edit, "6": node("TokenOpt_Optimize", **edit["6"]["inputs"])}
    slow["3"]["inputs"]["batch_size"] = 4
    slow["5"]["inputs"]["crops"] = 32
    slow["6"]["inputs"].update(steps=500, preview_every=1)
    seen = []

    def cancel(event):
        if event.kind == "progress" and event.node == "6":
            seen.append(event.data["value"])
            if seen[-1] == 2:
                client.interrupt()

    run = client.run(slow, on_event=cancel)
    assert run.status == "interrupted"
    assert seen[-1] <= 3
    edit["3"]["inputs"]["batch_size"] = 1
    edit["5"]["inputs"]["crops"] = 2
    succeed(client, edit)


@pytest.mark.parametrize("size", [(1, 1), (48, 80), (300, 7)])
def test_images_of_any_size(client, edit, size):
    edit["9"] = node(
        "ImageScale",
        image=["3", 0],
        upscale_method="bilinear",
        width=size[0],
        height=size[1],
        crop="disabled",
    )
    edit["4"]["inputs"]["image"] = ["9", 0]
    assert pixels(client, succeed(client, edit), "8").shape == (1, 64, 64, 3)


@pytest.mark.parametrize("kind", ["rgba", "half", "out of range"])
def test_kinds_of_images_give_the_result_of_the_plain_one(client, edit, kind):
    edit["9"] = node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["4", 0])
    edit["10"] = node("PreviewImage", images=["9", 0])
    plain = pixels(client, succeed(client, edit), "10")
    if kind == "rgba":
        edit["11"] = node("SolidMask", value=0.5, width=64, height=64)
        edit["12"] = node("JoinImageWithAlpha", image=["3", 0], alpha=["11", 0])
    else:
        edit["12"] = node("Hostile_OddImage", image=["3", 0], kind=kind)
    edit["4"]["inputs"]["image"] = ["12", 0]
    odd = pixels(client, succeed(client, edit), "10")
    if kind != "out of range":
        assert np.abs(odd.astype(int) - plain).mean() < 2
    assert odd.shape == plain.shape


def test_grey_image(client, edit):
    edit["9"] = node("Hostile_OddImage", image=["3", 0], kind="grey")
    edit["4"]["inputs"]["image"] = ["9", 0]
    assert pixels(client, succeed(client, edit), "8").shape == (1, 64, 64, 3)


@pytest.mark.parametrize("size", [(64, 64), (17, 200)])
def test_masks_of_another_size(client, edit, size):
    edit["9"] = node("SolidMask", value=0.5, width=size[0], height=size[1])
    edit["10"] = node("TokenOpt_MaskedL1Loss", image=["3", 0], mask=["9", 0], weight=1.0)
    edit["6"]["inputs"].update(loss=["10", 0], reset_every=2)
    run = succeed(client, edit)
    assert pixels(client, run, "8").shape == (1, 64, 64, 3)


@pytest.mark.parametrize(
    ("how", "seed"), [("cast", 51), ("cast and back", 52), ("evict", 53), ("train", 54)]
)
def test_a_neighbour_that_spoils_the_weights_changes_nothing(client, edit, how, seed):
    client.free()
    edit["6"]["inputs"]["seed"] = seed  # a busy server may run this before it forgets its cache
    edit["9"] = node("Hostile_Abuse", tokenizer=["1", 0], guide=["2", 0], after=["6", 0], how=how)
    edit["10"] = node("TokenOpt_Encode", tokenizer=["9", 0], image=["3", 0])
    edit["11"] = node("TokenOpt_ClipLoss", **{**edit["5"]["inputs"], "guide": ["9", 1]})
    inputs = {**edit["6"]["inputs"], "tokenizer": ["9", 0], "tokens": ["10", 0], "loss": ["11", 0]}
    edit["12"] = node("TokenOpt_Optimize", **inputs)
    edit["13"] = node("PreviewImage", images=["12", 0])
    run = succeed(client, edit)
    assert run.executed.index("6") < run.executed.index("9") < run.executed.index("12")
    np.testing.assert_array_equal(pixels(client, run, "13"), pixels(client, run, "8"))


def test_inputs_are_never_changed(client, workflow):
    graph = workflow("inpaint")
    graph["12"]["inputs"].update(steps=STEPS, reset_every=2)
    graph["20"] = node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=["8", 0])
    graph["21"] = node("TokenOpt_Copy", target=["8", 0], reference=["8", 0], positions="0-3")
    watched = {"30": ["3", 0], "31": ["7", 0], "32": ["8", 0], "33": ["20", 0]}

    def digests(nonce):
        chosen = {k: node("Hostile_Digest", value=v, nonce=nonce) for k, v in watched.items()}
        run = succeed(client, {**graph, **chosen})
        return [run.outputs[number]["digest"] for number in watched], run.executed

    sources = {"1", "3", "4", "5", "6", "7", "8", "16", "20"}
    alone = {k: v for k, v in graph.items() if k in sources}
    chosen = {k: node("Hostile_Digest", value=v, nonce=0) for k, v in watched.items()}
    run = succeed(client, {**alone, **chosen})
    before = [run.outputs[number]["digest"] for number in watched]
    assert digests(1)[0] == before
    after, executed = digests(2)
    assert after == before
    assert set(executed) == set(watched)


def test_load_nodes_share_one_model(client, edit):
    edit["9"] = node("TokenOpt_LoadTokenizer", tokenizer=edit["1"]["inputs"]["tokenizer"])
    for number, source in (("10", "1"), ("11", "9")):
        edit[number] = node("Hostile_Digest", value=[source, 0], nonce=3)
    run = succeed(client, edit)
    assert run.outputs["10"]["digest"] == run.outputs["11"]["digest"]


def test_an_image_does_not_depend_on_its_batch(client, edit):
    edit["4"] = node("TokenOpt_RandomTokens", tokenizer=["1", 0], seed=4, batch_size=2, scale=1.0)
    edit["6"]["inputs"]["seed"] = 4
    both = pixels(client, succeed(client, edit), "8")
    edit["4"]["inputs"].update(seed=5, batch_size=1)
    edit["6"]["inputs"]["seed"] = 5
    alone = pixels(client, succeed(client, edit), "8")
    assert np.abs(both[1].astype(int) - alone[0]).max() <= 2


def test_captions_are_prompts_one_for_each_image(client, edit):
    edit["3"]["inputs"].update(batch_size=2, shape="random")
    edit["5"]["inputs"]["prompt"] = ["3", 1]
    edit["9"] = node("Hostile_Digest", value=["3", 1], nonce=5)
    run = succeed(client, edit)
    assert len(run.outputs["9"]["digest"][0].splitlines()) == 2
    assert pixels(client, run, "8").shape == (2, 64, 64, 3)


def test_codes_are_text_and_copying_all_tokens_gives_the_reference(client, workflow):
    graph = workflow("token_copy")
    graph["8"]["inputs"]["positions"] = "0-15"
    for number, source in (("19", "5"), ("20", "8")):
        graph[number] = node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=[source, 0])
    for number, source in (("21", "19"), ("22", "20")):
        graph[number] = node("Hostile_Digest", value=[source, 1], nonce=4)
    run = succeed(client, graph)
    (codes,) = run.outputs["21"]["digest"]
    assert run.outputs["22"]["digest"] == [codes]
    assert len(codes.split()) == 16
    assert all(0 <= int(code) < 1024 for code in codes.split())


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("TokenOpt_Encode", {"tokenizer": ["1", 0]}),
        ("TokenOpt_Judge", {"guide": ["2", 0], "prompt": "a green star"}),
    ],
)
def test_a_long_batch_is_seen_in_parts_and_ends_at_a_cancel(client, scene, name, inputs):
    scene["4"] = node("RepeatImageBatch", image=["3", 0], amount=100)
    scene["5"] = node(name, image=["4", 0], **inputs)
    scene["6"] = node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=["5", 0])
    digest = ["5", 0] if name == "TokenOpt_Judge" else ["6", 1]
    scene["7"] = node("Hostile_Digest", value=digest, nonce=0)
    if name == "TokenOpt_Judge":
        del scene["6"]
    lines = {}
    for count, image in ((2, "3"), (200, "4")):
        scene["5"]["inputs"]["image"] = [image, 0]
        run = succeed(client, scene)
        lines[count] = run.outputs["7"]["digest"][0].splitlines()[-count:]
    assert run.progress("5")[:2] == [(128, 200), (200, 200)]
    seen = [line.split()[1:] for line in lines[2]]
    assert [line.split()[1:] for line in lines[200]] == seen * 100

    def cancel(event) -> None:
        if event.kind == "progress" and event.node == "5":
            client.interrupt()

    scene["4"]["inputs"]["amount"] = 1500
    run = client.run(scene, on_event=cancel)
    assert run.status == "interrupted"
    assert run.progress("5")[-1][0] < 3000
