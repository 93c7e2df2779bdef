"""Fixtures of the tests that talk to a real ComfyUI (started once a session, about 10 s).

def test_it(client, workflow):
    run = client.run(workflow("text_edit"))              # posts, follows, waits for the end
    assert run.status == "success", run.error            # or "error", "interrupted"
    run.executed, run.cached                             # node numbers, as strings
    run.progress("5"), run.previews                      # [(value, max)], events with .image (PIL)
    run.outputs["5"]["tokenopt"], client.images(run, "8")   # ui output; PIL images of SaveImage
    client.run(graph, on_event=lambda event: client.interrupt())
    with pytest.raises(PromptRefused) as refused: client.run(bad)   # refused.value.messages
    client.upload(pil_image, "name.png"); client.free(); server.log_text()
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from devtools.client import Client, Graph
from devtools.layout import DEV, ROOT
from devtools.server import ComfyServer

WORKFLOWS = ROOT / "workflows" / "api"


@pytest.fixture(scope="session")
def server() -> Iterator[ComfyServer]:
    log = DEV / "logs" / "server-tests.log"
    with ComfyServer(DEV / "test-base", log=log) as running:
        yield running


@pytest.fixture
def client(server: ComfyServer) -> Client:
    """A front end of its own for each test (they share the server's cache)."""
    return server.client()


@pytest.fixture
def workflow() -> Callable[[str], Graph]:
    """Name of a shipped workflow -> its graph in API format, a copy to change at will."""

    def load(name: str) -> Graph:
        return json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))

    return load
