"""Shorthands of tests against a real ComfyUI: nodes, graphs that succeed, graphs that fail."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from .client import Client, Event, Graph, Run

WORDS = 60  # longer messages are not one sentence


def node(class_type: str, /, **inputs) -> dict:
    """A node in API format; an input is a value or the [number, output] of another node."""
    return {"class_type": class_type, "inputs": inputs}


def succeed(client: Client, graph: Graph, on_event: Callable[[Event], None] | None = None) -> Run:
    """The run of a graph, which must end well."""
    run = client.run(graph, on_event=on_event)
    assert run.status == "success", run.error
    return run


def fails_with(client: Client, graph: Graph, *parts: str) -> None:
    """A node of this graph must refuse its input: ValueError, one short line with these parts."""
    run = client.run(graph)
    assert run.status == "error", run.status
    message = run.error["exception_message"].strip()
    assert run.error["exception_type"] == "ValueError", message
    assert "\n" not in message, message
    assert len(message.split()) <= WORDS, message
    for part in parts:
        assert part in message, message


def pixels(client: Client, run: Run, number: str = "8") -> np.ndarray:
    """(b, h, w, 3) of 0 to 255: the images of a SaveImage or PreviewImage node."""
    return np.stack([np.asarray(image) for image in client.images(run, number)])


def record(run: Run, number: str = "40") -> dict:
    """The run record that a Hostile_Digest node was given."""
    return json.loads(run.outputs[number]["digest"][0])


def table(run: Run, number: str = "4") -> list[str]:
    """The lines of the table that a node shows."""
    return run.outputs[number]["tokenopt_notes"][0].splitlines()
