"""A client without a front end: posts prompts, follows them, fetches their results."""

from __future__ import annotations

import io
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests
import websocket
from PIL import Image

METADATA_PREVIEW = 4  # kind of a binary message: length, JSON that names the node, image
HTTP_SECONDS = 30

Graph = dict[str, dict[str, Any]]  # API format: node number -> {"class_type", "inputs"}


class PromptRefused(Exception):
    """ComfyUI's validation said no; nothing was run.

    `error` is its own {"type", "message", "details"}, `messages` one "node/type: text" each.
    """

    def __init__(self, answer: dict[str, Any]) -> None:
        self.error: dict[str, Any] = answer["error"]
        self.node_errors: dict[str, Any] = answer.get("node_errors") or {}
        self.messages = [
            f"{node}/{error['type']}: {error['message']}: {error['details']}"
            for node, node_error in self.node_errors.items()
            for error in node_error["errors"]
        ]
        super().__init__(
            "; ".join(self.messages) or f"{self.error['type']}: {self.error['message']}"
        )


@dataclass(frozen=True)
class Event:
    """A message of the server about a prompt; previews come as kind "preview" with an image."""

    kind: str
    node: str | None
    data: dict[str, Any]
    image: Image.Image | None = None


@dataclass
class Run:
    """How a prompt went."""

    prompt_id: str
    status: str = ""  # "success", "error" or "interrupted"
    events: list[Event] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)  # node -> its ui output
    seconds: float = 0.0

    @property
    def cached(self) -> list[str]:
        """Nodes whose result of an earlier run was used."""
        return [node for event in self._of("execution_cached") for node in event.data["nodes"]]

    @property
    def executed(self) -> list[str]:
        """Nodes that were run, in order."""
        return [event.node for event in self._of("executing") if event.node]

    @property
    def previews(self) -> list[Event]:
        return self._of("preview")

    @property
    def error(self) -> dict[str, Any] | None:
        """exception_message, exception_type, node_id, node_type and traceback of a failed run."""
        return next((event.data for event in self._of("execution_error")), None)

    def progress(self, node: str | None = None) -> list[tuple[int, int]]:
        """(value, maximum) of each progress message, of one node or of all."""
        events = self._of("progress")
        return [(e.data["value"], e.data["max"]) for e in events if node in (None, e.node)]

    def _of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]


class Client:
    """One ComfyUI server as seen by one front end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.id = uuid.uuid4().hex

    def get(self, path: str, **parameters: Any) -> requests.Response:
        answer = requests.get(self.url + path, params=parameters, timeout=HTTP_SECONDS)
        answer.raise_for_status()
        return answer

    def object_info(self) -> dict[str, Any]:
        return self.get("/object_info").json()

    def history(self, prompt_id: str) -> dict[str, Any]:
        return self.get(f"/history/{prompt_id}").json()[prompt_id]

    def submit(self, graph: Graph) -> str:
        """Queues a graph in API format and returns its prompt id; PromptRefused if invalid."""
        body = {"prompt": graph, "client_id": self.id}
        answer = requests.post(f"{self.url}/prompt", json=body, timeout=HTTP_SECONDS)
        if answer.status_code == 400 or answer.json().get("node_errors"):
            raise PromptRefused({"error": {"type": "", "message": ""}, **answer.json()})
        answer.raise_for_status()
        return answer.json()["prompt_id"]

    def run(
        self, graph: Graph, *, timeout: float = 300, on_event: Callable[[Event], None] | None = None
    ) -> Run:
        """Runs a graph to its end, whatever that is, and tells how it went.

        Args:
            on_event: called with each message while it runs, e.g. to print it or to interrupt.

        Raises PromptRefused when validation fails, TimeoutError after `timeout` seconds.
        """
        address = f"{self.url.replace('http', 'ws', 1)}/ws?clientId={self.id}"
        socket = websocket.create_connection(address, timeout=timeout)
        try:
            flags = {"supports_preview_metadata": True}
            socket.send(json.dumps({"type": "feature_flags", "data": flags}))
            started = time.monotonic()
            run = Run(self.submit(graph))
            while not run.status:
                event = _read(socket, started + timeout)
                if event is None or event.data.get("prompt_id") not in (None, run.prompt_id):
                    continue
                run.events.append(event)
                run.status = _status_after(event)
                if on_event:
                    on_event(event)
            run.seconds = time.monotonic() - started
        finally:
            socket.close()
        run.outputs = self._outputs(run.prompt_id)
        return run

    def interrupt(self) -> None:
        requests.post(f"{self.url}/interrupt", json={}, timeout=HTTP_SECONDS).raise_for_status()

    def free(self) -> None:
        """Makes the server forget its cached results and unload its models."""
        body = {"unload_models": True, "free_memory": True}
        requests.post(f"{self.url}/free", json=body, timeout=HTTP_SECONDS).raise_for_status()
        time.sleep(1)  # the server's worker wakes for it; a prompt that comes sooner runs first

    def empty_queue(self, seconds: float = 10) -> list[str]:
        """Takes away what still runs or waits after `seconds`, and returns its prompt ids."""
        left = self._queued(seconds)
        if left:
            answer = requests.post(f"{self.url}/queue", json={"clear": True}, timeout=HTTP_SECONDS)
            answer.raise_for_status()
            self.interrupt()
            if self._queued(HTTP_SECONDS):
                raise TimeoutError(f"Prompts {left} were interrupted and do not end.")
        return left

    def _queued(self, seconds: float) -> list[str]:
        """Ids of the prompts that run or wait, as soon as there are none or after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            queue = self.get("/queue").json()
            left = [entry[1] for entry in queue["queue_running"] + queue["queue_pending"]]
            if not left or time.monotonic() >= deadline:
                return left
            time.sleep(0.05)

    def upload(self, image: Image.Image, name: str) -> str:
        """Puts an image into the server's input folder; returns the name for LoadImage."""
        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
        files = {"image": (name, buffer.getvalue(), "image/png")}
        form = {"overwrite": "true"}
        path = f"{self.url}/upload/image"
        answer = requests.post(path, files=files, data=form, timeout=HTTP_SECONDS)
        answer.raise_for_status()
        return answer.json()["name"]

    def images(self, run: Run, node: str) -> list[Image.Image]:
        """The images that a SaveImage or PreviewImage node of a run made."""
        return [self.view(file) for file in run.outputs[node]["images"]]

    def view(self, file: dict[str, str]) -> Image.Image:
        """An image by its {"filename", "subfolder", "type"}."""
        return Image.open(io.BytesIO(self.get("/view", **file).content))

    def _outputs(self, prompt_id: str, seconds: float = 10) -> dict[str, Any]:
        deadline = time.monotonic() + seconds  # the history is written after the last message
        while time.monotonic() < deadline:
            entry = self.get(f"/history/{prompt_id}").json().get(prompt_id)
            if entry:
                return entry["outputs"]
            time.sleep(0.05)
        raise TimeoutError(f"Prompt {prompt_id} has ended, but is not in the history.")


def _status_after(event: Event) -> str:
    ends = {
        "execution_success": "success",
        "execution_error": "error",
        "execution_interrupted": "interrupted",
    }
    return ends.get(event.kind, "")


def _read(socket: websocket.WebSocket, deadline: float) -> Event | None:
    """The next message, or None for a binary one that is no preview with metadata."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("The prompt did not end in time.")
    socket.settimeout(left)
    try:
        message = socket.recv()
    except websocket.WebSocketTimeoutException:
        raise TimeoutError("The prompt did not end in time: the server went silent.") from None
    if isinstance(message, str):
        content = json.loads(message)
        data = content.get("data") or {}
        return Event(content["type"], data.get("node") or data.get("node_id"), data)
    if int.from_bytes(message[:4], "big") != METADATA_PREVIEW:
        return None
    start = 8 + int.from_bytes(message[4:8], "big")
    data = json.loads(message[8:start])
    image = Image.open(io.BytesIO(message[start:]))
    return Event("preview", data.get("node_id"), data, image)
