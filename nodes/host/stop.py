"""Stop and keep: the route that ends a run early, so that the graph goes on with what it has.

ComfyUI's cancel throws a run away. `POST /tokenopt/stop` asks for the opposite: the loop leaves
after the step it is at, and the node returns its result as if that had been the last one. A request
belongs to the runs that are under way when it comes, so it can never reach a later one.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .compat import PromptServer, executing, web

log = logging.getLogger(__name__)

ROUTE = "/tokenopt/stop"
STOPPED = "stopped by the user"

_running: list[StopFlag] = []
_lock = threading.Lock()  # requests come on the server's thread


@dataclass(frozen=True, eq=False)
class StopFlag:
    """The wish of a user that one run ends early."""

    prompt_id: str | None
    node_id: str | None
    _event: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def raised(self) -> bool:
        return self._event.is_set()

    def fits(self, prompt_id: str | None, node_id: str | None) -> bool:
        """Whether a request that names a prompt, a node, both or neither means this run."""
        return prompt_id in (None, self.prompt_id) and node_id in (None, self.node_id)


@contextmanager
def stoppable() -> Iterator[StopFlag]:
    """The flag of the node that runs now, known to `request_stop` until the block ends."""
    flag = StopFlag(*executing())
    with _lock:
        _running.append(flag)
    try:
        yield flag
    finally:
        with _lock:
            _running.remove(flag)


def request_stop(prompt_id: str | None = None, node_id: str | None = None) -> list[StopFlag]:
    """Raises the flags of all runs that fit, and returns them."""
    with _lock:
        flags = [flag for flag in _running if flag.fits(prompt_id, node_id)]
    for flag in flags:
        flag._event.set()
        log.info("Token Optimizer (node %s): %s", flag.node_id, STOPPED)
    return flags


def answer(body: bytes) -> tuple[int, dict[str, Any]]:
    """HTTP status and JSON for a request with this body.

    200: `stopped` lists the runs. 404: something runs, but not what the request names. 409: nothing
    runs. 400: the body is not an object with the texts `node_id` and `prompt_id` (both optional).
    """
    try:
        wish = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        wish = None
    names = ("prompt_id", "node_id")
    if not isinstance(wish, dict) or not set(wish) <= set(names) or not _are_ids(wish.values()):
        return 400, {
            "error": "The body is not understood: send {} or a JSON object with node_id, prompt_id "
            "or both, as texts."
        }
    wanted = {name: None if wish.get(name) is None else str(wish[name]) for name in names}
    flags = request_stop(**wanted)
    if flags:
        return 200, {"stopped": [{n: getattr(flag, n) for n in names} for flag in flags]}
    with _lock:
        running = [flag.node_id for flag in _running]
    if not running:
        return 409, {"error": "No optimizer is running, so there is nothing to stop."}
    return 404, {
        "error": f"No optimizer runs with {wish}: running now is node {', '.join(running)}."
    }


def register_route() -> None:
    """Adds `POST /tokenopt/stop` to ComfyUI's server, when the pack is loaded the first time."""
    routes = PromptServer.instance.routes
    if any(getattr(route, "path", None) == ROUTE for route in routes):
        return  # the same folder twice: named in two lists of custom_nodes, or loaded again

    @routes.post(ROUTE)
    async def stop(request: web.Request) -> web.Response:
        status, content = answer(await request.read())
        return web.json_response(content, status=status)


def _are_ids(values) -> bool:
    return all(value is None or type(value) in (str, int) for value in values)
