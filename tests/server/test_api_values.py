"""Values that no front end sends, typed into a workflow: refused, or an error of the node; the
server and its queue go on."""

from __future__ import annotations

import time

import pytest
import requests

from devtools.comfyui.checks import WORDS, node, succeed
from devtools.comfyui.client import PromptRefused

STRANGE = {
    "null": None,
    "huge": 10**30,
    "text of a number": "nan",
    "empty list": [],
    "object": {"a": 1},
    "link to no node": ["99", 0],
    "link to no output": ["1", 99],
    "link with a text": ["1", "0"],
    "link with three": ["1", 0, 0],
    "nested link": [["1", 0], 0],
    "link to itself": ["6", 0],
    "true": True,
    "long": "x" * 100_000,
    "half a character": "\ud800",
}
INPUTS = [("6", "steps"), ("6", "tokens"), ("5", "prompt"), ("1", "tokenizer"), ("6", "regularize")]


@pytest.mark.parametrize("case", STRANGE)
def test_strange_values(client, edit, case):
    for number, key in INPUTS:
        graph = {n: {**item, "inputs": dict(item["inputs"])} for n, item in edit.items()}
        graph[number]["inputs"][key] = STRANGE[case]
        try:
            run = client.run(graph)
        except (PromptRefused, requests.RequestException):  # no JSON: ComfyUI's own check broke
            continue
        if run.status == "success":
            continue
        message = run.error["exception_message"].strip()
        assert run.error["exception_type"] == "ValueError", (key, message[:500])
        assert len(message.split()) <= WORDS, message
        assert key in message, message
    wait_for_an_empty_queue(client)


def wait_for_an_empty_queue(client) -> None:
    """A prompt leaves the queue shortly after its last message."""
    for _ in range(50):
        queue = client.get("/queue").json()
        if not queue["queue_running"] and not queue["queue_pending"]:
            return
        time.sleep(0.1)
    raise AssertionError(queue)


def test_a_sound_run_still_works(client, edit):
    succeed(client, edit)


@pytest.mark.parametrize(
    "body", [b"", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b'{"node_id": ["6"]}', b"[]"]
)
def test_the_stop_route_answers_everything(client, body):
    """An exposed server's clients may post what they like to it."""
    answer = requests.post(f"{client.url}/tokenopt/stop", data=body, timeout=30)
    assert answer.status_code in (400, 409)
    assert set(answer.json())


def test_metadata_of_strangers_is_no_error_of_a_save(client, scene):
    """Whoever posts a prompt may post any extra_pnginfo with it."""
    scene["9"] = node("TokenOpt_SaveImage", images=["3", 0], filename_prefix="kept/extra")
    odd = {"日本": 1, "": 2, "k" * 200: 3, "deep": [[[[]]]], "text": "\0"}
    body = {"prompt": scene, "client_id": client.id, "extra_data": {"extra_pnginfo": odd}}
    answer = requests.post(f"{client.url}/prompt", json=body, timeout=30)
    answer.raise_for_status()
    succeed(client, {"3": scene["3"], "10": node("PreviewImage", images=["3", 0])})
    wait_for_an_empty_queue(client)
    status = client.history(answer.json()["prompt_id"])["status"]
    assert status["status_str"] == "success", status["messages"][-1]
