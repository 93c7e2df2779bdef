"""Weights that others move or cast in the middle of a run: the same result, or a clear error."""

from __future__ import annotations

import numpy as np
import pytest

from devtools.comfyui.checks import node, pixels, succeed

STEPS = 8


@pytest.fixture
def spoiled(edit):
    """The text edit, whose loss does something to the models in its fourth look."""

    def make(how: str, seed: int) -> dict:
        edit["6"]["inputs"].update(steps=STEPS, seed=seed, loss=["31", 0])
        edit["30"] = node("Hostile_SpoilingLoss", tokenizer=["1", 0], guide=["2", 0], how=how)
        edit["31"] = node("TokenOpt_CombineLosses", loss_a=["5", 0], loss_b=["30", 0])
        return edit

    return make


def test_what_a_neighbour_does_during_a_run_changes_nothing_or_is_named(client, spoiled):
    expected = pixels(client, succeed(client, spoiled("nothing", 900)))
    for how in ("evict", "train"):
        np.testing.assert_array_equal(
            pixels(client, succeed(client, spoiled(how, 900))), expected, err_msg=how
        )
    run = client.run(spoiled("cast", 900))
    assert run.status == "error"
    message = run.error["exception_message"]
    assert message.startswith("the weights of 'demo' were moved or changed by another node")
    client.free()
    np.testing.assert_array_equal(
        pixels(client, succeed(client, spoiled("nothing", 900))), expected
    )


def test_memory_freed_by_the_user_during_a_run_changes_nothing(client, spoiled):
    expected = pixels(client, succeed(client, spoiled("nothing", 901)))
    client.free()

    def free(event):
        if event.kind == "progress" and event.node == "6" and event.data["value"] in (2, 5):
            client.free()

    for _ in range(2):
        run = succeed(client, spoiled("nothing", 901), on_event=free)
        assert "6" in run.executed
        np.testing.assert_array_equal(pixels(client, run), expected)
