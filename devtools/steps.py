"""Steps of dev.py, and their failures, told in one sentence. stdlib only."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def program(environment: Path, name: str = "python") -> Path:
    """A program of a virtual environment."""
    return environment / (f"Scripts/{name}.exe" if os.name == "nt" else f"bin/{name}")


class Problem(Exception):
    """A failure told to the user in one sentence."""


def say(text: str) -> None:
    print(f"dev.py: {text}", flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Tells what is being done, and how long it took."""
    say(f"{text} ...")
    start = time.monotonic()
    yield
    say(f"done in {time.monotonic() - start:.0f} s.")


def run(command: list[str], sentence: str) -> None:
    """Runs a command; raises `Problem` with the sentence where it fails."""
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
        raise Problem(sentence)
