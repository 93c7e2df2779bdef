"""A file is written whole or not at all, and what a killed process leaves goes away."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tokenopt_core.files.small import PARTIAL, STALE_SECONDS, write_whole


def test_a_file_appears_whole_and_nothing_stays_beside_it(tmp_path):
    path = tmp_path / "a.bin"
    write_whole(path, b"first")
    write_whole(path, b"second, longer")
    assert path.read_bytes() == b"second, longer"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.bin"
    write_whole(path, b"first")
    with pytest.raises(TypeError):
        write_whole(path, "text")
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_a_killed_process_leaves_no_file_and_its_rest_is_removed_a_day_later(tmp_path):
    path = tmp_path / "a.bin"
    code = (
        "import os, sys; from pathlib import Path; from tokenopt_core.files import small\n"
        "small.os.replace = lambda *names: os.kill(os.getpid(), 9)\n"
        "small.write_whole(Path(sys.argv[1]), b'content')"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)])
    assert killed.returncode != 0
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".")
    assert left.name.endswith(PARTIAL)
    write_whole(tmp_path / "b.bin", b"")
    assert left.exists()  # another process may be writing it
    old = time.time() - STALE_SECONDS - 10
    os.utime(left, (old, old))
    write_whole(path, b"content")
    assert sorted(os.listdir(tmp_path)) == ["a.bin", "b.bin"]
