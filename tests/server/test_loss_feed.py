"""The loss while a run goes on: a few messages a second to the client that queued it."""

from __future__ import annotations

import time

import pytest

from devtools.comfyui.checks import node, record, succeed

STEPS = 310


def feed(run) -> list[dict]:
    return [event.data for event in run.events if event.kind == "tokenopt.loss"]


def test_the_feed_is_the_loss_of_the_record(client, edit):
    edit["5"]["inputs"]["prompt"] = "a green star:1 | dark:-0.4"
    run = succeed(client, edit)
    messages, kept = feed(run), record(run)
    assert [message["first"] for message in messages] == [True, *[False] * (len(messages) - 1)]
    assert {message["node"] for message in messages} == {"6"}
    assert messages[0]["names"] == list(kept["terms"])
    points = [point for message in messages for point in message["points"]]
    assert [point[0] for point in points] == [0, 1, 2, 3]
    for index, total, *terms in points:
        assert total == pytest.approx(kept["loss"][index][0], abs=1e-5)
        assert terms == pytest.approx([kept["terms"][n][index][0] for n in kept["terms"]], abs=1e-5)
    (whole,) = run.outputs["6"]["tokenopt_curve"]  # for a page that was not there all the time
    assert whole["points"] == points
    assert whole.items() <= {**messages[0], "points": points}.items()


def test_a_run_that_no_page_follows_leaves_its_curve_for_later(client, edit):
    edit["6"]["inputs"]["seed"] = 5
    number = client.submit(edit)  # and no websocket
    while not (history := client.get(f"/history/{number}").json()):
        time.sleep(0.1)
    (whole,) = history[number]["outputs"]["6"]["tokenopt_curve"]
    assert [point[0] for point in whole["points"]] == [0, 1, 2, 3]


def test_a_long_run_sends_few_messages_and_points(client, edit):
    edit["5"] = node("TokenOpt_PixelPenalty", total_variation=1.0, range=0.0)  # a fast one
    edit["6"]["inputs"].update(steps=STEPS, seed=31)
    run = succeed(client, edit)
    messages = feed(run)
    steps = [value for value, _ in run.progress("6")]
    assert steps == sorted(set(steps))
    assert steps[:20] == list(range(1, 21))
    assert steps[-1] == STEPS
    assert len(steps) <= 20 + run.seconds / 0.2 + 2
    points = [point[0] for message in messages for point in message["points"]]
    assert points == sorted(set(points))
    assert points[0] == 0
    assert points[-1] == STEPS - 1
    assert points[:100] == list(range(100))  # where most happens
    assert len(points) <= 200
    assert len(messages) <= run.seconds / 0.2 + 2


def test_terms_that_come_and_go_do_not_end_the_run(client, edit):
    edit["5"] = node("Hostile_ComingTerms")
    run = succeed(client, edit)
    assert {tuple(message["names"]) for message in feed(run)} == {("red", "always")}
    points = [point for message in feed(run) for point in message["points"]]
    assert [point[2] is None for point in points] == [False, True, True, True]


def test_each_run_of_a_sweep_starts_anew(client, sweep):
    run = succeed(client, sweep)
    firsts = [message["title"] for message in feed(run) if message["first"]]
    assert firsts == ["run 1 of 2", "run 2 of 2"]
    assert run.outputs["6"]["tokenopt_curve"][0]["title"] == "run 2 of 2"
