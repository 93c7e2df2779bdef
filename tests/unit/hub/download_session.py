"""A program, not a test module: downloads from a hub on this computer that behaves in many ways.

`python download_session.py WORK` downloads into WORK and writes what happened as JSON. It is a
program of its own because the hub's client reads its address from the environment once.
`python download_session.py WORK ADDRESS NAME...` downloads these models, as another process would.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from devtools.comfyui.hub import LocalHub, Manner

WORK, NAMES = Path(sys.argv[1]), sys.argv[3:]
FILES = ("config.json", "model.bin")
SIZE = 300_000  # bytes of model.bin
CONFIG = json.dumps({"a": 1}).encode()
WEIGHTS = random.Random(0).randbytes(SIZE)
TOKEN = "hf_" + "x" * 30  # not a real one


def prepare(address: str) -> None:
    """Point the hub's client here, and make everything small and quick."""
    for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        os.environ.pop(name, None)
    os.environ |= {"HF_ENDPOINT": address, "HF_HOME": str(WORK / "home"), "HF_TOKEN": TOKEN}
    os.environ |= {"NO_PROXY": "127.0.0.1"}
    from tokenopt_core.hub import fetch, transfer
    from tokenopt_core.hub import messages as hub_messages

    transfer.FIRST_WAIT, transfer.SILENCE = 0.05, 0.5
    fetch.WORTH_KEEPING = 50_000
    hub_messages.LOG_SECONDS = 0.2


class Cancelled(Exception):
    pass


def attempt(
    hub: LocalHub,
    name: str,
    *,
    place: Path = WORK / "models",
    cancel_after: float | None = None,
    at_half: Callable[[], None] | None = None,
    **options,
) -> dict:
    """One download: what came of it, what was asked of the hub, what lies in the folder after."""
    from tokenopt_core.hub import HubFile, fetch_files

    begun, cancelled, progress, error = time.monotonic(), [], [], None
    before, asked = len(hub.requests), len(messages)
    sent = hub.sent.get(f"lab/{name}/{FILES[1]}", 0)

    def report(done: int, total: int) -> None:
        nonlocal at_half
        progress.append((done, total))
        if at_half and done > SIZE / 3:
            at_half = at_half()
        if cancel_after is not None and time.monotonic() - begun > cancel_after:
            cancelled.append(time.monotonic())
            raise Cancelled(f"{done} of {total}")

    wanted = [HubFile(f"lab/{name}", (file,), size=SIZE) for file in FILES]
    try:
        fetch_files(name, wanted, place / name, report, **options)
    except Exception as caught:
        error = f"{type(caught).__name__}: {caught}"
    there = place / name / FILES[1]
    return {
        "error": error,
        "seconds": time.monotonic() - begun,
        "after cancel": time.monotonic() - cancelled[0] if cancelled else None,
        "whole": there.is_file() and there.read_bytes() == WEIGHTS,
        "left": sorted(p.name for p in place.glob(f"*{name}*")),
        "requests": hub.requests[before:],
        "sent": hub.sent.get(f"lab/{name}/{FILES[1]}", 0) - sent,
        "progress": progress,
        "log": messages[asked:],
    }


def scenarios(hub: LocalHub) -> dict[str, dict]:
    results: dict[str, dict] = {}

    def run(label: str, name: str, manner: Manner | None = None, **options) -> None:
        publish(hub, name, manner or Manner())
        results[label] = attempt(hub, name, **options)

    get = ("GET",)
    run("off", "normal", download=False)
    run("normal", "normal")
    run("there", "normal", Manner(status=500))
    run("slow", "slow", Manner(pause=0.02))
    run("cut once", "cut", Manner(break_at=150_000, ways=get, times=2))
    run("cut", "half", Manner(break_at=150_000, ways=get))
    run("resumed", "half")
    run("damaged", "damaged", Manner(damage=True))
    run("repaired", "damaged")
    run("flood", "flood", Manner(flood=40_000_000))
    publish(hub, "deep", Manner())
    hub.files["lab/deep/config.json"] = b"[" * 100_000
    results["deep"] = attempt(hub, "deep")
    run("401", "private", Manner(status=401))
    run("403", "gated", Manner(status=403, headers={"X-Error-Code": "GatedRepo"}))
    run("404", "absent", Manner(status=404, headers={"X-Error-Code": "EntryNotFound"}))
    run("429", "busy", Manner(status=429, headers={"Retry-After": "1"}, times=1))
    run("429, get", "busy2", Manner(status=429, headers={"Retry-After": "1"}, times=1, ways=get))
    run("429, long", "busier", Manner(status=429, headers={"Retry-After": "3600"}))
    busy = Manner(status=429, headers={"Retry-After": "60"})
    run("429, cancelled", "busier", busy, cancel_after=0.3)
    run("500 twice", "failing", Manner(status=500, ways=get, times=2))
    run("500", "broken", Manner(status=500))
    run("elsewhere", "elsewhere", Manner(elsewhere=True))
    run("cancelled", "cancelled", Manner(pause=0.05), cancel_after=0.7)
    run("after cancel", "cancelled")
    run("silent", "silent", Manner(silence=30), cancel_after=0.2)
    run("silent file", "silent2", Manner(silence=30, ways=get), cancel_after=0.4)
    run("no answer", "silent3", Manner(silence=2, ways=("HEAD",)))
    full_disks(run)
    two_processes(hub, run)
    return results


def publish(hub: LocalHub, name: str, manner: Manner) -> None:
    hub.files |= {f"lab/{name}/{FILES[0]}": CONFIG, f"lab/{name}/{FILES[1]}": WEIGHTS}
    hub.manners[f"lab/{name}"] = manner


def full_disks(run: Callable[..., None]) -> None:
    """A disk too small from the start, one that others fill meanwhile, and a limit of the system.

    The disk is a real one of 500 kB, where this program may mount it (test_downloads.py asks for
    the right); the limit is every Unix's.
    """
    disk = WORK / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=500k", "none", str(disk)]
    if sys.platform == "linux" and subprocess.run(mount, capture_output=True).returncode == 0:
        filler = disk / "filler"

        def fill() -> None:
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))

        run("filled", "filled", Manner(pause=0.02), place=disk, at_half=fill)
        run("still full", "filled", place=disk)
        filler.unlink(missing_ok=True)
        run("room again", "filled", place=disk)
    if os.name != "nt":
        import resource

        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        run("limited", "limited")
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        run("unlimited", "limited")


def two_processes(hub: LocalHub, run: Callable[..., None]) -> None:
    """Another process downloads "both", which this one wants too, and is killed at "killed"."""
    for name in ("both", "killed"):
        publish(hub, name, Manner(pause=0.05))
    child = subprocess.Popen([sys.executable, __file__, str(WORK), hub.url, "both", "killed"])
    wait_for(lambda: hub.sent.get("lab/both/model.bin", 0) > 0)
    run("both", "both", Manner(pause=0.05))
    wait_for(lambda: hub.sent.get("lab/killed/model.bin", 0) > SIZE / 2)
    child.kill()
    child.wait()
    run("killed", "killed")


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing happened for {seconds} s")
        time.sleep(0.02)


class Messages(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        messages.append(record.getMessage())


messages: list[str] = []
if __name__ == "__main__":
    if NAMES:
        prepare(sys.argv[2])
        with LocalHub() as unused:
            for each in NAMES:
                attempt(unused, each)
    else:
        with LocalHub() as local:
            prepare(local.url)
            log = logging.getLogger("tokenopt_core")
            log.setLevel(logging.INFO)
            log.addHandler(Messages())
            told = scenarios(local) | {"tokens": {k: sorted(v) for k, v in local.tokens.items()}}
        told["no network"] = attempt(local, "nowhere")
        sys.stdout.write(json.dumps(told))
