"""A program, not a test module: a small hub on this computer, and downloads from it.

`python hub_session.py FOLDER WORK` serves the tokenizer in FOLDER under three repository names
(whole, cut short, without weights), downloads into WORK, and writes what happened as JSON. It is
a program of its own because the hub's client reads its address from the environment once.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0" * 40
folder, work = Path(sys.argv[1]), Path(sys.argv[2])
requests: list[str] = []
BREAK = 100_000  # bytes after which the shaky repository's line breaks, while it is offline
offline = threading.Event()


def content(repo: str, file: str) -> bytes | None:
    if repo == "lab/guide":
        path = folder.parent / "guide" / file
        return path.read_bytes() if path.is_file() else None
    if repo == "lab/absent" and file == "model.safetensors":
        return None
    data = (folder / file).read_bytes()
    return data[:-500] if repo == "lab/cut" and file == "model.safetensors" else data


class Hub(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        owner, name, _, _, file = self.path.strip("/").split("/")
        data = content(f"{owner}/{name}", file)
        requests.append(f"{self.command} {name}/{file}")
        asked = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-")
        start = int(asked) if self.command == "GET" and asked else 0
        shaky = name == "shaky" and file == "model.safetensors" and self.command == "GET"
        if start:
            requests[-1] += f" from {start}"
        if shaky and start and offline.is_set():
            self.send_error(503)
            return
        self.send_response(404 if data is None else 206 if start else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        if data is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        else:
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data or b"") - start))
        self.end_headers()
        if self.command == "GET" and data:
            self.wfile.write(data[start : BREAK if shaky and offline.is_set() else None])

    do_GET = do_HEAD

    def log_message(self, *args: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ |= {
    "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
    "HF_HOME": str(work / "home"),
    "NO_PROXY": "127.0.0.1",
}
for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN"):
    os.environ.pop(name, None)

from huggingface_hub import constants  # noqa: E402

from tokenopt_core import downloads  # noqa: E402
from tokenopt_core.guides import load_guide  # noqa: E402
from tokenopt_core.tokenizers import RELEASES, Release, find_release, load_tokenizer  # noqa: E402

spec = load_tokenizer(folder).spec
for kind in ("tiny", "cut", "absent", "shaky"):
    RELEASES[kind] = Release(spec=replace(spec, name=kind), repo=f"lab/{kind}")


downloads.WORTH_KEEPING = BREAK // 2  # these files are small
constants.DOWNLOAD_CHUNK_SIZE = BREAK // 10


class Cancelled(Exception):
    pass


def cancel(done: int, total: int) -> None:
    raise Cancelled(f"{done} of {total}")


def attempt(source: str, models: str | None, **options) -> dict[str, object]:
    """Load, and tell what came of it, what was requested and what lies in the folder after."""
    requests.clear()
    models_dir = work / models if models else None
    progress: list[tuple[int, int]] = []
    options.setdefault("progress", lambda done, total: progress.append((done, total)))
    try:
        error = None
        if source.startswith("hf-hub:"):
            name = load_guide(source, models_dir=models_dir, **options).name
        else:
            name = load_tokenizer(source, models_dir=models_dir, **options).spec.name
    except Exception as caught:
        name, error = None, f"{type(caught).__name__}: {caught}"
    left = (
        sorted(p.relative_to(models_dir).as_posix() for p in models_dir.rglob("*"))
        if models
        else []
    )
    return {
        "name": name,
        "error": error,
        "requests": list(requests),
        "progress": progress,
        "left": left,
    }


results = {
    "found before": find_release(RELEASES["tiny"], work / "models") is not None,
    "cancelled": attempt("tiny", "models", progress=cancel),
    "first": attempt("tiny", "models"),
    "second": attempt("tiny", "models"),
    "cache": attempt("tiny", None),
    "cache again": attempt("tiny", None),
    "cut": attempt("cut", "cut"),
    "cut, cache": attempt("cut", None),
    "cut, found": find_release(RELEASES["cut"]) is not None,
    "absent": attempt("absent", "absent"),
}
offline.set()
results["broken"] = attempt("shaky", "shaky")
offline.clear()
results["resumed"] = attempt("shaky", "shaky")
GUIDE = "hf-hub:lab/guide"
results["guide, cancelled"] = attempt(GUIDE, "guides", progress=cancel)
results["guide"] = attempt(GUIDE, "guides")
results["guide, cache"] = attempt(GUIDE, None)
server.shutdown()
server.server_close()
results["offline"] = attempt("tiny", "offline")
results["offline cache"] = attempt("cut", None)
results["guide, offline"] = attempt(GUIDE, "none")
results["guide, there"] = attempt(GUIDE, "guides")
results["guide, in the cache"] = attempt(GUIDE, None)
results["offline, there"] = attempt("tiny", "models")
sys.stdout.write(json.dumps(results))
