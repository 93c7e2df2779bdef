"""A local model hub that can behave as real ones do: slow, busy, broken, forbidden.

with LocalHub() as hub:
    hub.files["owner/name/model.safetensors"] = data
    hub.manners["owner/name"] = Manner(break_at=1000, times=1)
    ...                        # in a process with HF_ENDPOINT=hub.url
    hub.requests               # ["HEAD owner/name/model.safetensors", "GET ... from 1000"]
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0" * 40
PIECE = 10_000  # bytes between two pauses
LARGE = 10_000  # bytes from which a file is kept outside git
BOTH = ("HEAD", "GET")


@dataclass
class Manner:
    """How a repository answers, the first `times` times that it is asked in one of these `ways`.

    Args:
        pause: seconds between two pieces of a file; `silence` seconds before an answer begins.
        break_at: bytes of a file after which the line breaks, `hang` seconds later.
        damage: one byte of each large file comes wrong.
        flood: so many bytes come behind each large file, whose end is not announced.
        status: an answer that is no file, with `headers`.
        elsewhere: the content comes from a host of its own, as from a hub's content network.
    """

    pause: float = 0.0
    silence: float = 0.0
    break_at: int | None = None
    hang: float = 0.0
    damage: bool = False
    flood: int = 0
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    elsewhere: bool = False
    ways: tuple[str, ...] = BOTH
    times: int = 10**6


class LocalHub:
    """Context manager. Thread safe enough: each dictionary is set before it is asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.manners: dict[str, Manner] = {}
        self.requests: list[str] = []
        self.sent: dict[str, int] = {}  # bytes of each file
        self.tokens: dict[str, set[str]] = {"hub": set(), "elsewhere": set()}
        self._servers = [_server(self, "hub"), _server(self, "elsewhere")]

    @property
    def url(self) -> str:
        return self._url(0)

    def __enter__(self) -> LocalHub:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def _url(self, number: int) -> str:
        return f"http://127.0.0.1:{self._servers[number].server_port}"

    def manner(self, repo: str, way: str) -> Manner:
        manner = self.manners.get(repo)
        if manner is None or way not in manner.ways or manner.times <= 0:
            return Manner(elsewhere=manner is not None and manner.elsewhere)
        manner.times -= 1
        return manner


def _server(hub: LocalHub, place: str) -> ThreadingHTTPServer:
    class Handler(_Handler):
        pass

    Handler.hub, Handler.place = hub, place
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server


class _Handler(BaseHTTPRequestHandler):
    hub: LocalHub
    place: str

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        with contextlib.suppress(ConnectionError):  # the client has hung up
            self._answer()

    def _answer(self) -> None:
        try:
            owner, name, _resolve, _main, file = self.path.strip("/").split("/")
        except ValueError:  # the hub's client also asks for other things now and then
            return self._empty(404, {})
        key, way = f"{owner}/{name}/{file}", self.command
        asked = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-")
        start = int(asked) if way == "GET" else 0
        self.hub.tokens[self.place].add(self.headers.get("Authorization", ""))
        there = f" from {start}" if start else ""
        self.hub.requests.append(f"{way} {key}{there}" + " elsewhere" * (self.place != "hub"))
        manner = self.hub.manner(f"{owner}/{name}", way)
        time.sleep(manner.silence)
        data = self.hub.files.get(key)
        if manner.status:
            self._empty(manner.status, manner.headers)
        elif data is None:
            self._empty(404, {"X-Error-Code": "EntryNotFound"})
        elif manner.elsewhere and self.place == "hub":
            facts = {"X-Linked-Etag": _etag(data), "X-Linked-Size": str(len(data))}
            where = {"Location": f"{self.hub._url(1)}{self.path}"}
            self._empty(302, facts | where | {"X-Repo-Commit": COMMIT})
        else:
            self._send(key, data, start, manner)

    def _empty(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, key: str, data: bytes, start: int, manner: Manner) -> None:
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", _etag(data))
        flood = bytes(manner.flood if self.command == "GET" and len(data) >= LARGE else 0)
        if not flood:
            self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if manner.damage and len(data) >= LARGE:
            data = data[:-1] + bytes([data[-1] ^ 1])
        data += flood
        end = len(data) if manner.break_at is None else manner.break_at
        for at in range(start, end, PIECE):
            piece = data[at : min(at + PIECE, end)]
            self.wfile.write(piece)
            self.hub.sent[key] = self.hub.sent.get(key, 0) + len(piece)
            time.sleep(manner.pause)
        time.sleep(manner.hang)

    def log_message(self, *args: object) -> None:
        pass


def _etag(data: bytes) -> str:
    """Of a large file its SHA-256, of others, which git keeps itself, git's own."""
    large = len(data) >= LARGE
    git = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return f'"{(hashlib.sha256(data) if large else git).hexdigest()}"'
