"""docs/examples/api/edit.sh and the commands of docs/headless.md, with a real curl.

Not in tests/server, whose tests must not be skipped: a machine may lack curl or a shell.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from PIL import Image

from devtools.comfyui.layout import ROOT

PAGE = ROOT / "docs" / "headless.md"
pytestmark = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("sh")), reason="needs curl and a shell"
)


@pytest.fixture
def graph(workflow, tmp_path):
    """The shipped text edit with marks for the script and few steps, in a file."""
    graph = workflow("text_edit")
    graph["3"] = {"class_type": "LoadImage", "inputs": {"image": "%image%"}}
    graph["5"]["inputs"].update(crops=1, prompt="%prompt%")
    graph["6"]["inputs"].update(steps=4, preview_every=0, seed="%seed%")
    (tmp_path / "workflow.json").write_text(json.dumps(graph, indent=2), encoding="utf-8")
    Image.new("RGB", (90, 60), "gold").save(tmp_path / "my photo.png")
    return graph


def script(server, folder, *arguments: str) -> subprocess.CompletedProcess:
    command = ["sh", str(ROOT / "docs/examples/api/edit.sh"), server.url, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def test_the_script(server, client, graph, tmp_path):
    prompt = 'a "large" \\ ring & star, 50 %:1 | blue:-0.1'
    done = script(server, tmp_path, "workflow.json", "new", "my photo.png", prompt, "77")
    assert done.returncode == 0, done.stderr
    paths = [tmp_path / line for line in done.stdout.splitlines()]
    assert sorted(Image.open(path).size for path in paths) == [(64, 64), (90, 60)]
    asked = list(client.get("/history").json().values())[-1]["prompt"][2]
    assert asked["5"]["inputs"]["prompt"] == prompt
    assert asked["6"]["inputs"]["seed"] == 77
    failed = script(server, tmp_path, "workflow.json", "new", "my photo.png", "quux")
    assert failed.returncode == 4
    assert failed.stderr.startswith("prompt has 'quux'")
    refused = script(server, tmp_path, "workflow.json", "new", "my photo.png", "a star", "-1")
    assert refused.returncode == 3
    assert "seed" in refused.stderr


def test_the_commands_of_the_page(server, client, graph, tmp_path):
    """Each as printed, with this server's address and the ids that it gives."""
    graph["3"]["inputs"]["image"] = "photo.png"
    graph["5"]["inputs"]["prompt"] = "a ring"
    graph["6"]["inputs"]["seed"] = 1
    (tmp_path / "request.json").write_text(json.dumps({"prompt": graph}), encoding="utf-8")
    (tmp_path / "my photo.png").rename(tmp_path / "photo.png")
    text = re.search(r"## With curl\n(.*?)\n## ", PAGE.read_text("utf-8"), re.S)[1]
    (block,) = re.findall(r"```\n(curl.*?)```", text, re.S)
    commands = block.replace("http://127.0.0.1:8188", server.url).splitlines()
    upload, queue, history, view, *rest = commands
    assert run(upload, tmp_path)["name"].startswith("photo")
    prompt_id = run(queue, tmp_path)["prompt_id"]
    while not (found := run(history.replace("PROMPT_ID", prompt_id), tmp_path)):
        pass
    assert found[prompt_id]["status"]["status_str"] == "success"
    file = found[prompt_id]["outputs"]["8"]["images"][0]
    run(view.replace("after_00001_.png", file["filename"]), tmp_path)
    assert Image.open(tmp_path / "after.png").size == (64, 64)
    for command in rest:
        run(command.replace("PROMPT_ID", prompt_id), tmp_path)


def run(command: str, folder) -> dict:
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "{}")
