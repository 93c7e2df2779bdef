"""docs/examples/api against the real server, run as a user does: programs with exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from devtools.comfyui.layout import ROOT

PROGRAMS = ROOT / "docs" / "examples" / "api"
SECONDS = 300  # of a busy machine that loads the demo guide for the first time


def call(program: str, server, folder: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, str(PROGRAMS / program), "--server", server.url, *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=None if os.name == "nt" else hears_ctrl_c,
    )


def hears_ctrl_c() -> None:
    """As in a terminal; tests that a shell runs in the background were told to ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ended(process: subprocess.Popen, status: int) -> tuple[str, str]:
    out, error = process.communicate(timeout=SECONDS)
    assert process.returncode == status, out + error
    assert "Traceback" not in error
    return out, error


@pytest.fixture
def graph(workflow, tmp_path):
    """The shipped text edit with few steps, in a file, its results under a name of the test's."""
    graph = workflow("text_edit")
    graph["5"]["inputs"].update(crops=1)
    graph["6"]["inputs"].update(steps=8, preview_every=0)
    graph["8"]["inputs"]["filename_prefix"] = f"headless/{tmp_path.name}"
    del graph["7"]
    (tmp_path / "workflow.json").write_text(json.dumps(graph), encoding="utf-8")
    return graph


def runs(client, graph) -> list[dict]:
    """What the server was asked for by this test: the graphs of its history."""
    wanted = graph["8"]["inputs"]["filename_prefix"]
    asked = [entry["prompt"][2] for entry in client.get("/history").json().values()]
    return [g for g in asked if g.get("8", {}).get("inputs", {}).get("filename_prefix") == wanted]


def test_another_prompt_picture_and_seed(server, client, graph, tmp_path):
    Image.new("RGB", (90, 60), "gold").save(tmp_path / "my ä picture.png")
    values = ["--prompt", 'a "small" ring', "--image", "my ä picture.png", "--seed", "77"]
    values += ["--set", "Token Optimizer.lr=0.3", "--out", "new"]
    process = call("edit.py", server, tmp_path, "--workflow", "workflow.json", *values)
    out, error = ended(process, 0)
    (path,) = (tmp_path / line for line in out.splitlines())
    assert path.parent == tmp_path / "new"
    assert Image.open(path).size == (64, 64)
    assert "Token Optimizer [##########] 100%" in error
    (asked,) = runs(client, graph)
    assert asked["5"]["inputs"]["prompt"] == 'a "small" ring'
    assert asked["6"]["inputs"]["seed"] == 77
    assert asked["6"]["inputs"]["lr"] == 0.3
    assert asked["3"]["class_type"] == "LoadImage"
    stored = server.base / "input" / asked["3"]["inputs"]["image"]
    assert stored.read_bytes() == (tmp_path / "my ä picture.png").read_bytes()


def test_what_the_server_refuses_and_what_fails(server, client, graph, tmp_path):
    started = ["edit.py", server, tmp_path, "--workflow", "workflow.json", "--set"]
    _, error = ended(call(*started, "Token Optimizer.steps=0"), 3)
    assert "refused" in error
    assert "Token Optimizer (6): " in error
    assert "steps" in error
    assert not runs(client, graph)
    _, error = ended(call(*started, "CLIP Loss.prompt=quux"), 4)
    assert "CLIP Loss failed: ValueError: prompt has 'quux'" in error.splitlines()[-1]


def test_interrupted_by_somebody_and_by_ctrl_c(server, client, graph, tmp_path):
    started = ["edit.py", server, tmp_path, "--workflow", "workflow.json"]
    long = ["--set", "Token Optimizer.steps=9000"]
    process = call(*started, *long)
    wait_for(lambda: client.get("/queue").json()["queue_running"])
    wait_for(lambda: not client.interrupt() and process.poll() is not None)
    assert "cancelled" in ended(process, 5)[1]
    if os.name == "nt":
        return  # a test cannot press ctrl-c there without pressing it for itself as well
    process = call(*started, *long)
    wait_for(lambda: client.get("/queue").json()["queue_running"])
    process.send_signal(signal.SIGINT)
    ended(process, 130)
    wait_for(lambda: not client.get("/queue").json()["queue_running"])


def test_a_batch_that_is_killed_goes_on(server, client, graph, tmp_path):
    """Killed, its last line cut, one job failing, one there twice: each runs exactly once."""
    (tmp_path / "photos").mkdir()
    for colour in ("gold", "navy"):
        Image.new("RGB", (64, 64), colour).save(tmp_path / "photos" / f"{colour}.png")
    rows = [f"photos/{c}.png,a ring,{seed}" for c in ("gold", "navy") for seed in (1, 2, 3)]
    rows += ['photos/gold.png,"quux\nquux",1', rows[0]]  # one that fails, one twice
    (tmp_path / "jobs.csv").write_text("\n".join(["image,prompt,seed", *rows]), encoding="utf-8")
    command = ["batch.py", server, tmp_path, "--workflow", "workflow.json", "--jobs", "jobs.csv"]
    manifest = tmp_path / "results" / "manifest.jsonl"

    def lines(state: str) -> list[dict]:
        text = manifest.read_text(encoding="utf-8") if manifest.exists() else ""
        found = [json.loads(line) for line in text.splitlines(True) if line.endswith("\n")]
        return [line for line in found if line["state"] == state]

    process = call(*command)
    wait_for(lambda: lines("done"))
    assert "Another batch" in ended(call(*command), 1)[1]
    process.kill()
    process.communicate()
    assert len(lines("done")) < 6
    with manifest.open("ab") as file:
        file.write(b'{"job": "cut in the mid')
    out, _ = ended(call(*command), 4)
    assert "6 of 7 jobs are done, 1 failed" in out
    assert len(lines("done")) == len({line["job"] for line in lines("done")}) == 6
    assert "prompt has 'quux'" in lines("failed")[0]["error"]
    assert len(runs(client, graph)) == 7
    for line in lines("done"):
        (name,) = line["files"]
        assert Image.open(tmp_path / "results" / name).size == (64, 64)
    ended(call(*command), 4)
    assert len(runs(client, graph)) == 7
    ended(call(*command, "--retry-failed"), 4)
    assert len(runs(client, graph)) == 8


@pytest.mark.skipif(os.name == "nt", reason="a test cannot press ctrl-c there for another program")
def test_ctrl_c_takes_a_batch_out_of_the_queue(server, client, graph, tmp_path):
    graph["6"]["inputs"]["steps"] = 9000
    (tmp_path / "long.json").write_text(json.dumps(graph), encoding="utf-8")
    command = ["--workflow", "long.json", "--seeds", "1", "2", "3"]
    process = call("batch.py", server, tmp_path, *command)
    wait_for(lambda: client.get("/queue").json()["queue_pending"])
    process.send_signal(signal.SIGINT)
    assert "goes on" in ended(process, 130)[1]
    wait_for(lambda: not any(client.get("/queue").json().values()))


def test_the_program_of_the_page(server, client, graph, tmp_path):
    page = (ROOT / "docs" / "headless.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    code = code.replace("http://127.0.0.1:8188", server.url).replace("text_edit", "workflow")
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(PROGRAMS)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / done.stdout.strip()).size == (64, 64)


def wait_for(something) -> None:
    deadline = time.monotonic() + SECONDS
    while not something():
        assert time.monotonic() < deadline
        time.sleep(0.1)
