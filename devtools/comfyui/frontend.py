"""ComfyUI's own front end in a real browser without a window, driven by playwright."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Frame, Page, WebSocket, sync_playwright

from .browser import find_browser
from .client import Graph
from .template_files import file_name

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# The front end of every ComfyUI says these: files a new user does not have, and the internet.
USUAL_ERRORS = re.compile(
    r"user\.css|/userdata|comfy\.templates\.json|api\.comfy\.org|ERR_INTERNET|ERR_NAME|ERR_FAILED"
    r"|ERR_CONNECTION|ERR_PROXY|ERR_TUNNEL|firebase|googleapis|Failed to load resource"
    r"|reading 'id'\)\s+at onChange"  # its own, at every start of 1.32.9
    r"|/api/jobs|JobsApiError|templates/index|Content Security Policy"  # newer than its server
    r"|view\?type=input&filename=undefined"  # a Load Image while the input folder has no file
)
PREVIEW_KINDS = (1, 4)  # first four bytes of the websocket's binary messages with an image
READY = "() => window.app?.graph && Object.keys(LiteGraph.registered_node_types).length > 50"
START_MS = 120_000
OPENED = "() => app.extensionManager?.workflow?.activeWorkflow"  # the last session's, or a default
RUN = """async () => {
    window.heardTheEnd = false;
    const hear = () => { window.heardTheEnd = true; };
    for (const end of ['execution_success', 'execution_error', 'execution_interrupted'])
        app.api.addEventListener(end, hear);
    await app.queuePrompt(0, 1);
}"""
FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


class FrontEnd:
    """Context manager: a browser page with the front end of the server at `url`, ready to use.

    `errors` holds the console errors and failed requests that a ComfyUI without this pack does not
    have, `previews` the number of preview images that its websocket has received.
    """

    def __init__(self, url: str, *, width: int = 1600, height: int = 900) -> None:
        self.url = url
        self.size = {"width": width, "height": height}
        self.errors: list[str] = []
        self.previews = 0

    def __enter__(self) -> FrontEnd:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._playwright = sync_playwright().start()
        self._context = self._playwright.chromium.launch_persistent_context(
            self._profile.name,
            executable_path=os.environ.get("TOKENOPT_BROWSER") or find_browser(),
            headless=True,
            viewport=self.size,
            args=FLAGS,
            timeout=START_MS,
        )
        self._context.set_default_timeout(START_MS)  # a screenshot may take its time too
        self._context.add_init_script("localStorage.setItem('vueNodesBannerDismissed', 'true')")
        self.page: Page = self._context.pages[0]
        self._listen()
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()
        self._playwright.stop()
        self._profile.cleanup()

    def open(self, query: str = "") -> None:
        """Opens the page (anew) and waits until it can take a workflow."""
        self.page.goto(self.url + query, wait_until="domcontentloaded")
        self.page.wait_for_function(READY, timeout=START_MS)
        self.page.wait_for_function(OPENED, timeout=START_MS)
        self.page.wait_for_timeout(1000)  # the new rendering places its nodes late
        self.settle()

    def visit(self, url: str) -> None:
        """The same for another server, with nothing left of what was before."""
        self.url = url
        self.open()
        self.errors.clear()

    def settle(self) -> None:
        """Waits until the page has drawn what it knows."""
        self.page.evaluate(FRAMES)

    def link_to_template(self, name: str) -> None:
        """Opens the page anew, by the front end's link to a template of this pack."""
        name = file_name(name)
        file = f"/workflow_templates/tokenopt/{name}.json"
        with self.page.expect_response(lambda got: got.url.endswith(file), timeout=START_MS):
            self.open(f"/?template={name}&source=tokenopt")
        named = "(name) => app.extensionManager.workflow.activeWorkflow.filename === name"
        self.page.wait_for_function(named, arg=name, timeout=START_MS)
        self.settle()

    def load_template(self, name: str) -> None:
        """Opens a template of this pack in the page as it is."""
        name = file_name(name)
        address = f"/api/workflow_templates/tokenopt/{name}.json"
        workflow = self.page.evaluate("(url) => fetch(url).then((got) => got.json())", address)
        self.load_workflow(workflow, name)

    def load_workflow(self, workflow: dict[str, Any], name: str) -> None:
        """Opens a saved workflow (UI format) in the page as it is, without loading that anew."""
        self.page.evaluate(
            "([graph, name]) => app.loadGraphData(graph, true, true, name)", [workflow, name]
        )
        self.settle()

    def load_api(self, graph: Graph, name: str) -> None:
        """Builds the nodes of a graph in API format."""
        self.page.evaluate("([graph, name]) => app.loadApiJson(graph, name)", [graph, name])
        self.settle()

    def prompt(self) -> Graph:
        """The graph in API format that the front end would post for what it shows."""
        return self._saved("output")

    def workflow(self) -> dict[str, Any]:
        """What the front end would save (UI format)."""
        return self._saved("workflow")

    def alerts(self) -> list[str]:
        """The messages that the page shows to the user now."""
        return self.page.locator(".p-toast-message").all_inner_texts()

    def fit_view(self) -> None:
        self.page.evaluate("() => app.canvas.fitViewToSelectionAnimated()")
        self.page.wait_for_timeout(400)  # it glides there, in 350 ms
        self.settle()

    def queue(self) -> None:
        """Presses Run, so to say."""
        self.page.evaluate(RUN)

    def wait_until_idle(self, seconds: float = 300) -> None:
        """Waits until the queue is empty and the page has heard and drawn how its run went."""
        deadline = time.monotonic() + seconds
        script = """async () => {
            const queue = await (await fetch('/queue')).json();
            return queue.queue_running.length + queue.queue_pending.length;
        }"""
        while self.page.evaluate(script):
            if time.monotonic() > deadline:
                raise TimeoutError(f"The queue was not empty after {seconds} s.")
            self.page.wait_for_timeout(100)
        self.page.wait_for_function("() => window.heardTheEnd !== false", timeout=START_MS)
        self.settle()

    def wait_for_previews(self, count: int, seconds: float = 120) -> None:
        """Waits until that many preview images have come since the page was opened."""
        deadline = time.monotonic() + seconds
        while self.previews < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.previews} previews came in {seconds} s, not {count}.")
            self.page.wait_for_timeout(100)

    def node_box(self, kind: str) -> dict[str, float]:
        """Where the first node of a type is on the screen: x, y, width, height in pixels."""
        script = """(kind) => {
            const node = app.graph._nodes.find((node) => node.type === kind);
            const canvas = app.canvas.canvas.getBoundingClientRect();
            const {scale, offset} = app.canvas.ds;
            const [x, y, width, height] = node.getBounding();
            return {
                x: canvas.x + (x + offset[0]) * scale, y: canvas.y + (y + offset[1]) * scale,
                width: width * scale, height: height * scale,
            };
        }"""
        return self.page.evaluate(script, kind)

    def screenshot(self, path: Path, box: dict[str, float] | None = None) -> bytes:
        """PNG of the page, or of a part of it; also written to `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        return self.page.screenshot(path=path, clip=box)

    def _saved(self, kind: str) -> dict[str, Any]:
        # As text: playwright would turn undefined into null, which the front end itself refuses.
        script = "async (kind) => JSON.stringify((await app.graphToPrompt())[kind])"
        return json.loads(self.page.evaluate(script, kind))

    def _listen(self) -> None:
        self.page.on("console", self._listen_to_console)
        self.page.on("pageerror", lambda error: self._error(str(error)))
        self.page.on("response", lambda got: got.status >= 400 and self._error(got.url))
        self.page.on("websocket", self._listen_to)

    def _listen_to_console(self, said: ConsoleMessage) -> None:
        if said.type == "error" or "Unknown message type" in said.text:  # 1.32.9 only warns of it
            self._error(said.text)

    def _listen_to(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._count)

    def _count(self, frame: Frame | bytes | str) -> None:
        if isinstance(frame, bytes) and int.from_bytes(frame[:4], "big") in PREVIEW_KINDS:
            self.previews += 1

    def _error(self, text: str) -> None:
        if not USUAL_ERRORS.search(text):
            self.errors.append(text[:300])
