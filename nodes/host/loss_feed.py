"""The loss curve of a run while it goes on, as messages to the page (web/js/loss_curve.js)."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor

from ...tokenopt_core.optimize.state import Step
from .compat import PromptServer, executing

EVENT = "tokenopt.loss"
INTERVAL = 0.2  # seconds between messages
DENSE = 50  # the curve keeps about every (step / DENSE)th step: a few hundred points of any run


class LossFeed:
    """Sends the mean loss over the images, and each term's, to the page that queued the run.

    Steps are gathered on their device, so that it is waited for only when a message goes out, or
    at the end for the whole curve. Nothing is sent where no page listens.

    Args:
        steps: that the run will make at most.
        title: of the run, where a node makes several.
    """

    def __init__(self, steps: int, title: str = ""):
        self.steps, self.title = steps, title
        self.client, (_, self.node) = _page(), executing()
        self._waiting: list[tuple[int, dict[str, Tensor], Tensor]] = []
        self._sent = 0.0
        self._names: list[str] = []  # of the first step: a user's loss may drop a term, or add one
        self._points: list[list[float | None]] = []  # that went out, or would have

    def add(self, step: Step) -> None:
        """Take note of a step; goes out with the next message."""
        if step.index == 0:  # also of a run that begins anew, with less at once
            self._waiting, self._names, self._points = [], [], []
        last = step.index + 1 >= self.steps
        if step.index % max(1, step.index // DENSE) == 0 or last:
            self._waiting.append((step.index, step.terms, step.loss))
        if self.client and (last or time.monotonic() - self._sent >= INTERVAL):
            self._send()

    def ui(self) -> dict[str, list]:
        """The curve of the run so far, for the ui output of its node: kept longer than messages."""
        self._points += self._gathered()
        return {"tokenopt_curve": [self._message(self._points)]}

    def _send(self) -> None:
        first, points = not self._points, self._gathered()
        if points:
            self._points += points
            message = self._message(points) | {"node": self.node, "first": first}
            PromptServer.instance.send_sync(EVENT, message, self.client)
            self._sent = time.monotonic()

    def _message(self, points: list[list[float | None]]) -> dict[str, Any]:
        named = {"title": self.title, "steps": self.steps, "names": self._names}
        return {**named, "points": points}

    def _gathered(self) -> list[list[float | None]]:
        """What waits, as numbers: step, loss and terms, None for what is no finite number."""
        if not self._waiting:
            return []
        self._names = self._names or list(self._waiting[0][1])
        rows = [
            [loss, *(terms.get(name, loss.new_full((), math.nan)) for name in self._names)]
            for _, terms, loss in self._waiting
        ]
        table = torch.stack([torch.stack([value.mean() for value in row]) for row in rows]).tolist()
        points = [
            [index, *(value if math.isfinite(value) else None for value in row)]
            for (index, _, _), row in zip(self._waiting, table, strict=True)
        ]
        self._waiting = []
        return points


def _page() -> str | None:
    """Id of the page, or other client, that queued this run and listens; None without one."""
    server = PromptServer.instance
    return server.client_id if server.client_id in server.sockets else None
