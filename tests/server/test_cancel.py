"""Cancels at every stage: heard soon, nothing of them stays, and no run leaves a trace."""

from __future__ import annotations

import pytest

from devtools.comfyui.checks import node, succeed
from devtools.templates.short import short_templates, together

MIB = 2**20
SOON = 3  # messages of progress after the one that was answered with a cancel
# Below what a single stage computes with, above what Python and ComfyUI keep of ten prompts.
MORE_TENSORS, MORE_RESIDENT = 1 * MIB, 128 * MIB
MANY = 300
# Workflows that have every kind of node between them.
VARIED = ("attribute_transfer", "easy_text_edit", "image_as_text", "image_prompt", "inpaint")
VARIED += ("morph", "perturb_search", "seed_retrieval", "several_prompts", "sweep", "trajectory")


def stages(templates) -> dict[str, tuple[dict, str]]:
    """Long work of every kind, and the node that does it."""
    loop, sweep = templates["text_edit"], templates["sweep"]
    loop["6"]["inputs"].update(steps=2000)
    sweep["6"]["inputs"].update(steps=300)
    search = templates["perturb_search"]
    search["4"]["inputs"].update(search="exact", positions="all")
    learn = templates["token_importance"]
    learn["4"]["inputs"].update(effect="random", effect_images=64)
    noise = templates["generate_from_noise"]
    noise["3"]["inputs"].update(best_of=256, batch_size=8, loss=["4", 0])
    many = {k: loop[k] for k in "123"} | {
        "4": node("RepeatImageBatch", image=["3", 0], amount=MANY),
        "5": node("TokenOpt_Encode", tokenizer=["1", 0], image=["4", 0]),
        "6": node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["5", 0]),
        "7": node("PreviewImage", images=["6", 0]),
    }
    judge = {k: many[k] for k in "1234"} | {
        "5": node("TokenOpt_Judge", guide=["2", 0], image=["4", 0], prompt="a green star"),
        "6": node("TokenOpt_SeedRetrieval", guide=["2", 0], image=["4", 0], prompts="a star",
                  choose="best"),
        "7": node("PreviewImage", images=["6", 0]),
    }  # fmt: skip
    return {
        "loop": (loop, "6"),
        "sweep": (sweep, "6"),
        "search": (search, "4"),
        "importance": (learn, "4"),
        "starts": (noise, "3"),
        "encode": (many, "5"),
        "decode": (many, "6"),
        "judge": (judge, "5"),
        "retrieval": (judge, "6"),
    }


def process(client, nonce: int) -> tuple[dict, dict]:
    """Settings and holdings of the server, which has forgotten results and models before."""
    client.free()
    succeed(client, {"1": node("Hostile_Process", nonce=-nonce)})  # after this at the latest
    run = succeed(client, {"1": node("Hostile_Process", nonce=nonce)})
    (settings,), (holdings,) = run.outputs["1"]["settings"], run.outputs["1"]["holdings"]
    del settings["random seed"]  # ComfyUI draws names of previews from it
    return settings, holdings


def cancelled(client, graph, number: str) -> None:
    """Cancels a run at its second message of progress of a node, which must end it soon."""
    seen = []

    def cancel(event):
        if event.kind == "progress" and event.node == number:
            seen.append(event.data)
            if len(seen) == 2:
                client.interrupt()

    run = client.run(graph, on_event=cancel)
    assert run.status == "interrupted", (run.status, run.error)
    assert len(seen) <= 2 + SOON
    assert seen[-1]["value"] < seen[-1]["max"]


def test_cancels_at_every_stage_leave_nothing_and_no_run_leaves_a_trace(client):
    settings, _ = process(client, 1)
    succeed(client, together({name: short_templates()[name] for name in VARIED}))
    _, held = process(client, 2)  # after what is kept once, such as imports and tables
    for graph, number in stages(short_templates()).values():
        cancelled(client, graph, number)
    run = client.run({"1": node("TokenOpt_LoadTokenizer", tokenizer="demo"), **broken()})
    assert run.status == "error"
    succeed(client, short_templates()["text_edit"])
    after, holdings = process(client, 3)
    assert after == settings
    more = {name: holdings[name] - value for name, value in held.items()}
    assert more["tensor bytes"] <= MORE_TENSORS, more
    assert more["resident bytes"] <= MORE_RESIDENT, more
    assert more["threads"] <= 2, more
    assert more["open files"] <= 4, more


def broken() -> dict:
    """Nodes that fail in the middle of a computation."""
    return {
        "2": node("TokenOpt_RandomTokens", tokenizer=["1", 0], seed=0, batch_size=1, scale=1.0),
        "3": node("Hostile_OddLoss", kind="one number"),
        "4": node("TokenOpt_PerturbSearch", tokenizer=["1", 0], tokens=["2", 0], loss=["3", 0],
                  positions="1", search="exact", share=0.1, direction="maximize", top_k=1),
        "5": node("PreviewImage", images=["4", 0]),
    }  # fmt: skip


@pytest.mark.parametrize("node_of", [("1", "TokenOpt_LoadTokenizer"), ("2", "TokenOpt_LoadGuide")])
def test_a_cancel_while_a_model_is_read_ends_the_prompt(client, workflow, node_of):
    number, kind = node_of
    graph = workflow("text_edit")
    assert graph[number]["class_type"] == kind
    client.free()

    def cancel(event):
        if event.kind == "executing" and event.node == number:
            client.interrupt()

    run = client.run(graph, on_event=cancel)
    assert run.status == "interrupted"
    assert "6" not in run.executed


def test_models_that_a_node_keeps_for_itself_go_when_memory_is_freed(client):
    for nonce in (11, 12):
        succeed(client, short_templates()["easy_text_edit"])
        _, holdings = process(client, nonce)  # answered: ComfyUI's worker has survived it
        assert holdings["tensor bytes"] < 8 * MIB


def test_what_is_left_in_the_queue_is_taken_away(client, workflow):
    """What the suite does after each test, so that no other waits behind a long run."""
    graph = workflow("text_edit")
    graph["6"]["inputs"]["steps"] = 9000
    left = [client.submit(graph) for graph["6"]["inputs"]["seed"] in (1, 2)]
    assert set(client.empty_queue(seconds=0)) == set(left)
    assert client.empty_queue() == []
