"""A small client of ComfyUI: queue a workflow, follow it, fetch what it made.

Needs `pip install websocket-client` and nothing else. `edit.py` and `batch.py` beside it are made
of it; copy the folder wherever you need it. docs/headless.md says what the server answers.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import websocket

Graph = dict[str, dict[str, Any]]  # API format: node number -> {"class_type", "inputs", "_meta"}

HTTP_SECONDS = 60
PATIENCE = 60  # seconds without an answer before a server that did answer is given up
QUIET = 2.0  # seconds without a message before the history is asked


class Problem(Exception):
    """What went wrong, for the user; `status` is what the program ends with."""

    status = 1


class NoAnswer(Problem):
    """No server, or none any more."""


class Refused(Problem):
    """ComfyUI's validation said no (400); nothing was run."""

    status = 3


class Failed(Problem):
    """A node raised an error while the workflow ran."""

    status = 4


class Interrupted(Problem):
    """Somebody cancelled the run."""

    status = 5


class Forgotten(Problem):
    """The server does not know the run: it was restarted, or somebody emptied its queue."""


class Server:
    """A ComfyUI server as one client sees it."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.client_id = uuid.uuid4().hex
        self._answered = False
        self._socket: websocket.WebSocket | None = None

    def queue(self, graph: Graph, prompt_id: str) -> str:
        """Queues a workflow under an id of our choice; returns the id that the server uses.

        Raises Refused if the workflow, or a part of it, is not valid; then nothing is run.
        """
        body = {"prompt": graph, "client_id": self.client_id, "prompt_id": prompt_id}
        try:
            answer = self._post("/prompt", body)
        except urllib.error.HTTPError as error:
            if error.code != 400:
                raise Problem(f"{self.url}/prompt answered {error.code} {error.reason}.") from None
            raise Refused(_refusal(json.loads(error.read()), graph)) from None
        prompt_id = answer.get("prompt_id", prompt_id)
        if answer.get("node_errors"):  # one output is valid and another is not
            self.cancel(prompt_id)
            raise Refused(_refusal(answer, graph))
        return prompt_id

    def cancel(self, prompt_id: str) -> None:
        """Takes one run out of the queue, or interrupts it; the others go on."""
        self._post("/queue", {"delete": [prompt_id]})
        self._post("/interrupt", {"prompt_id": prompt_id})

    def result(self, prompt_id: str) -> list[dict[str, str]] | None:
        """The files that a run has made; None while it waits or runs.

        Raises Failed, Interrupted or Forgotten.
        """
        queue = json.loads(self._ask("/queue"))  # first: what leaves it is in the history
        entry = json.loads(self._ask(f"/history/{prompt_id}")).get(prompt_id)
        if entry:
            return _files(entry)
        if any(prompt_id == item[1] for items in queue.values() for item in items):
            return None
        raise Forgotten(f"{self.url} does not know the run any more: was the server restarted?")

    def message(self, seconds: float = QUIET) -> dict[str, Any] | None:
        """The next message {"type", "data"} from the server; None if none came for so long.

        A lost connection is made again by the next call: what matters is in `result` too.
        """
        try:
            self.listen()
            assert self._socket
            self._socket.settimeout(seconds)
            received = self._socket.recv()
        except websocket.WebSocketTimeoutException:
            return None
        except (websocket.WebSocketException, OSError, Problem):
            self._socket = None
            time.sleep(seconds)
            return None
        return json.loads(received) if isinstance(received, str) else {"type": "", "data": {}}

    def listen(self) -> None:
        """Connects for messages; before `queue`, so that none is missed."""
        if self._socket is None:
            address = f"{self.url.replace('http', 'ws', 1)}/ws?clientId={self.client_id}"
            try:
                self._socket = websocket.create_connection(address, timeout=HTTP_SECONDS)
            except (websocket.WebSocketException, OSError) as error:
                raise NoAnswer(f"No connection to {address.split('?')[0]} ({error}).") from None

    def upload(self, path: Path) -> str:
        """Puts a picture into the server's input folder; returns its name there, for LoadImage.

        The server keeps what it has: another picture of this name gets a number.
        """
        boundary = uuid.uuid4().hex
        name = path.name.replace('"', "'")
        head = f'Content-Disposition: form-data; name="image"; filename="{name}"'
        parts = [f"--{boundary}\r\n{head}\r\n\r\n".encode(), path.read_bytes()]
        parts.append(f"\r\n--{boundary}--\r\n".encode())
        kind = f"multipart/form-data; boundary={boundary}"
        answer = json.loads(self._ask("/upload/image", b"".join(parts), kind))
        return "/".join(filter(None, (answer.get("subfolder"), answer["name"])))

    def fetch(self, file: dict[str, str]) -> bytes:
        """The content of a file, by what `result` says of it."""
        return self._ask(f"/view?{urllib.parse.urlencode(file)}")

    def check(self) -> None:
        """Raises Problem if no ComfyUI answers."""
        self._ask("/system_stats")

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._ask(path, json.dumps(body).encode(), "application/json")
        return json.loads(answer) if answer else {}

    def _ask(self, path: str, data: bytes | None = None, kind: str = "") -> bytes:
        """The body of an answer; a question that changes nothing is asked again for a while."""
        until = time.monotonic() + (PATIENCE if self._answered and path != "/prompt" else 0)
        headers = {"Content-Type": kind} if kind else {}
        request = urllib.request.Request(self.url + path, data, headers)
        while True:
            try:
                with urllib.request.urlopen(request, timeout=HTTP_SECONDS) as answer:
                    self._answered = True
                    return answer.read()
            except urllib.error.HTTPError as error:
                if path == "/prompt":
                    raise
                raise Problem(f"{self.url}{path} answered {error.code} {error.reason}.") from None
            except (OSError, http.client.HTTPException) as error:
                if time.monotonic() >= until:
                    reason = getattr(error, "reason", error)
                    raise NoAnswer(f"No ComfyUI answers at {self.url} ({reason}).") from None
            time.sleep(1)


def follow(
    server: Server, prompt_id: str, report: Callable[[dict[str, Any]], None]
) -> list[dict[str, str]]:
    """Waits for the end of a run; the files that it made, as `Server.result`.

    Args:
        report: called with each message about the run that comes meanwhile.
    """
    while True:
        message = server.message()
        if message and message["data"].get("prompt_id") == prompt_id:
            report(message)
        if message is None or is_end(message):
            files = server.result(prompt_id)
            if files is not None:
                return files


def is_end(message: dict[str, Any]) -> bool:
    """Whether a run is over, and in the history."""
    return message["type"] == "executing" and message["data"].get("node") is None


def save(content: bytes, folder: Path, name: str) -> Path:
    """The path of a file in `folder` with this content; what was there before stays.

    It appears at once and whole: whoever finds it may use it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = Path(name.replace("\\", "/")).name  # never outside of the folder
    number, path = 1, folder / wanted
    while path.exists():
        if path.read_bytes() == content:
            return path
        number += 1
        path = folder / f"{Path(wanted).stem} ({number}){Path(wanted).suffix}"
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
    return path


def title(graph: Graph, number: str) -> str:
    """What a user calls a node."""
    node = graph.get(number, {})
    return node.get("_meta", {}).get("title") or node.get("class_type") or f"node {number}"


def _files(entry: dict[str, Any]) -> list[dict[str, str]]:
    """What the outputs of a finished run are; previews only if nothing was saved."""
    for kind, data in reversed(entry["status"]["messages"]):
        if kind == "execution_error":
            name = title(entry["prompt"][2], str(data["node_id"]))
            said = " ".join(data["exception_message"].split())
            raise Failed(f"{name} failed: {data['exception_type']}: {said}")
        if kind == "execution_interrupted":
            raise Interrupted("The run was cancelled in ComfyUI.")
    lists = [files for output in entry["outputs"].values() for files in output.values()]
    found = [f for files in lists for f in files if isinstance(f, dict) and "filename" in f]
    saved = [file for file in found if file.get("type") == "output"]
    return [{k: f.get(k, "") for k in ("filename", "subfolder", "type")} for f in saved or found]


def _refusal(answer: dict[str, Any], graph: Graph) -> str:
    """Why a workflow is not valid: a sentence, then a line for each input that is wrong."""
    lines = [
        f"  {title(graph, number)} ({number}): {error['message']}: {error['details']}"
        for number, node in (answer.get("node_errors") or {}).items()
        for error in node["errors"]
    ]
    error = answer.get("error") or {"message": "a part of it is not valid"}
    return "\n".join([f"ComfyUI refused the workflow: {error['message']}", *lines])
