"""A real ComfyUI server in a process of its own, with only this pack in it.

with ComfyServer(base=Path(".dev/base")) as server:
    run = server.client().run(graph)
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from .client import Client
from .layout import QUIET_THREADS, comfyui_folder, make_base, make_folders

START_SECONDS = 180  # a cold disk and a busy machine; 8 s on an idle one
STOP_SECONDS = 10


class ServerFailed(RuntimeError):
    """ComfyUI did not start, or ended by itself; the message carries the end of its log."""


class ComfyServer:
    """Context manager: starts ComfyUI on 127.0.0.1, waits until it answers, stops it at the end.

    Args:
        base: its --base-directory (models, input, output, temp, user); made when missing.
        linked: whether this repository is a pack of it; False leaves its packs to the caller.
        log: file for its output; None lets it write to this terminal.
        python: of the environment to run it in; None takes this one.
        port: None takes a free one.
        cpu: run with --cpu; None finds out whether torch has an accelerator.
        offline: forbid downloads from model hubs.
        threads: of torch on the CPU; None takes one per core. The demo models gain nothing from a
            second one, and lose a lot to it while another program keeps that core busy.
        arguments: further ComfyUI options.
        environment: variables that it gets besides, or with other values.
    """

    def __init__(
        self,
        base: Path,
        *,
        linked: bool = True,
        log: Path | None = None,
        python: Path | None = None,
        port: int | None = None,
        cpu: bool | None = None,
        offline: bool = True,
        threads: int | None = 1,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.base = (make_base if linked else make_folders)(Path(base).resolve())
        self.log = log
        self.python = str(python or sys.executable)
        self.port = port or free_port()
        self.cpu = not has_accelerator() if cpu is None else cpu
        self.offline = offline
        self.threads = threads
        self.arguments = tuple(arguments)
        self.environment = environment or {}
        self.process: subprocess.Popen | None = None
        self.start_seconds = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Client:
        return Client(self.url)

    def log_text(self) -> str:
        """Everything that the server has written so far ('' when it writes to the terminal)."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log else ""

    def __enter__(self) -> ComfyServer:
        started = time.monotonic()
        if not is_free(self.port):
            raise ServerFailed(f"Port {self.port} is taken by another program: choose another one.")
        atexit.register(self.stop)
        self._start()
        try:
            self._wait_until_it_answers(started + START_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - started
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the process: politely, then by force. Nothing happens when it has ended already."""
        atexit.unregister(self.stop)
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _start(self) -> None:
        main = comfyui_folder() / "main.py"
        options = ["--listen", "127.0.0.1", "--port", str(self.port), "--disable-auto-launch"]
        options += ["--base-directory", str(self.base), "--disable-api-nodes"]
        options += ["--cpu"] * self.cpu + list(self.arguments)
        environment = {**QUIET_THREADS, **os.environ}
        environment |= {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
        if self.offline:
            environment["HF_HUB_OFFLINE"] = "1"
        if self.threads:
            environment["OMP_NUM_THREADS"] = str(self.threads)
        environment |= self.environment
        output = None
        if self.log:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            output = self.log.open("wb")
        self.process = subprocess.Popen(
            [self.python, str(main), *options],
            cwd=main.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
        )
        if output:
            output.close()

    def _wait_until_it_answers(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                code = self.process.returncode
                raise ServerFailed(f"ComfyUI ended with status {code}.\n{self._log_end()}")
            try:
                with urllib.request.urlopen(f"{self.url}/system_stats", timeout=5):
                    return
            except OSError:
                time.sleep(0.2)
        raise ServerFailed(f"ComfyUI did not answer in {START_SECONDS} s.\n{self._log_end()}")

    def _log_end(self) -> str:
        return "\n".join(self.log_text().splitlines()[-25:])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def has_accelerator() -> bool:
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()
