"""Stop and keep: a run ends early, the graph goes on, and nothing of it reaches a later run."""

from __future__ import annotations

import json

import pytest
import requests

from devtools.comfyui.client import Event

LONG = 5000  # steps that no test waits for


@pytest.fixture
def edit(workflow):
    """The shipped text edit; node 6 is the optimizer, 8 saves its image."""
    graph = workflow("text_edit")
    graph["5"]["inputs"].update(crops=2)
    graph["6"]["inputs"].update(steps=LONG, preview_every=0, seed=700)
    return graph


@pytest.fixture
def post(server):
    """What `POST /tokenopt/stop` answers: status and JSON."""

    def send(data=None, path: str = "/tokenopt/stop", **options) -> tuple[int, dict]:
        answer = requests.post(server.url + path, json=data, timeout=30, **options)
        return answer.status_code, answer.json()

    return send


def at_step(number: str, step: int, action):
    """An event handler that acts once, when a node has made so many steps."""

    def handle(event: Event) -> None:
        if event.kind == "progress" and event.node == number and event.data["value"] == step:
            action()

    return handle


def report(run, number: str = "6") -> dict:
    return json.loads(run.outputs[number]["tokenopt"][0])


def test_the_graph_goes_on_with_the_result_so_far(client, edit, post):
    answers = []
    run = client.run(edit, on_event=at_step("6", 3, lambda: answers.append(post())))
    assert answers == [(200, {"stopped": [{"prompt_id": run.prompt_id, "node_id": "6"}]})]
    assert run.status == "success", run.error
    assert run.executed[-1] == "8"
    assert client.images(run, "8")[0].size == (64, 64)
    told = report(run)
    assert 3 <= told["steps"] <= 5
    assert told["steps_planned"] == LONG
    assert told["stopped_by_user"]
    (note,) = run.outputs["6"]["tokenopt_notes"]
    assert note.startswith("stopped by the user after step")


def test_a_kept_result_stays_and_the_next_run_is_whole(client, edit, post):
    edit["6"]["inputs"]["seed"] = 701
    run = client.run(edit, on_event=at_step("6", 2, post))
    assert report(run)["stopped_by_user"]
    edit["8"]["inputs"]["filename_prefix"] = "tokenopt/other"
    assert client.run(edit).executed == ["8"]
    edit["6"]["inputs"].update(seed=702, steps=4)
    told = report(client.run(edit))
    assert (told["steps"], told["stopped_by_user"]) == (4, False)


def test_only_the_optimizer_that_runs_is_stopped(client, edit, post):
    edit["9"] = {"class_type": "TokenOpt_Optimize", "inputs": dict(edit["6"]["inputs"])}
    edit["9"]["inputs"].update(tokens=["6", 1], steps=3)
    edit["8"]["inputs"]["images"] = ["9", 0]
    edit["6"]["inputs"]["seed"] = 703
    run = client.run(edit, on_event=at_step("6", 2, lambda: post({"node_id": "6"})))
    assert run.status == "success", run.error
    assert report(run)["stopped_by_user"]
    assert report(run, "9")["steps"] == 3


def test_a_request_for_another_run_changes_nothing(client, edit, post):
    edit["6"]["inputs"].update(steps=4, seed=704)
    answers = []

    def ask():
        answers.append(post({"node_id": "77"}))
        answers.append(post({"prompt_id": "another"}, path="/api/tokenopt/stop"))

    run = client.run(edit, on_event=at_step("6", 1, ask))
    assert [status for status, _ in answers] == [404, 404]
    assert "running now is node 6" in answers[0][1]["error"]
    assert report(run)["steps"] == 4


def test_nothing_to_stop(post):
    status, answer = post({})
    assert status == 409
    assert "nothing to stop" in answer["error"]


@pytest.mark.parametrize("body", ["not json", "[1]", '{"node": "6"}', '{"node_id": ["6"]}'])
def test_a_body_that_is_not_understood(server, body):
    answer = requests.post(f"{server.url}/tokenopt/stop", data=body, timeout=30)
    assert answer.status_code == 400
    assert "node_id" in answer.json()["error"]


def test_cancel_still_throws_the_run_away(client, edit, post):
    edit["6"]["inputs"]["seed"] = 705
    run = client.run(edit, on_event=at_step("6", 2, client.interrupt))
    assert run.status == "interrupted"
    assert post()[0] == 409
