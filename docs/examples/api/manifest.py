"""What happened to the jobs of a batch: a file of JSON lines that only grows.

A line is on the disk before anything depends on it, so a program that was killed knows what it had
begun. A line that was cut in the middle did not happen.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

from comfy_client import Problem


class Manifest:
    """The last line of every job, in `folder`/manifest.jsonl; for one program at a time.

    A line has `job` (its key) and `state`: "queued" with a prompt_id, "done" with its files, or
    "failed" with an error.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "manifest.jsonl"
        self._lock = _lock(folder / "manifest.lock")
        self.last = self._read()
        self._file = self.path.open("ab")

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._lock.close()

    def state(self, job: str) -> str:
        """The job's state, "" if there is no line about it."""
        return self.last.get(job, {}).get("state", "")

    def write(self, job: str, state: str, **more: Any) -> None:
        """Adds a line; it is on the disk when this returns."""
        entry = {"job": job, "state": state, **more}
        self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.last[job] = entry

    def _read(self) -> dict[str, dict[str, Any]]:
        content = self.path.read_bytes() if self.path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            part = self.path.with_suffix(".part")
            part.write_bytes(whole)
            part.replace(self.path)
        try:
            entries = [json.loads(line) for line in whole.decode().splitlines()]
            return {entry["job"]: entry for entry in entries}
        except (ValueError, KeyError, TypeError) as error:
            raise Problem(f"{self.path} is damaged ({error}): move it away.") from None


def _lock(path: Path) -> IO[str]:
    """An open file that only one program can have; the system frees it, however that one ends."""
    file = path.open("w")
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise Problem(f"Another batch works in {path.parent}: choose another --out.") from None
    return file
