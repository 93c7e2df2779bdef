"""A ComfyUI in poor surroundings: two copies of the pack in custom_nodes, a log that can write few
letters, and requirements that nobody installed. One server has it all.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import requests

from devtools.comfyui.checks import WORDS, fails_with, node, succeed
from devtools.comfyui.layout import ROOT, make_base
from devtools.comfyui.server import ComfyServer
from devtools.release.archive import pack, unpack

FOX = "\N{FOX FACE}"
LOST = "raise ModuleNotFoundError(\"No module named 'open_clip'\", name='open_clip')\n"


@pytest.fixture(scope="module")
def poor(tmp_path_factory):
    """The server; its first pack is a link to this repository and its second one a copy of it."""
    folder = tmp_path_factory.mktemp("surroundings")
    base = make_base(folder / "base", ROOT / "tests" / "server" / "hostile_pack")
    unpack(pack(folder / "pack.zip"), base / "custom_nodes" / "tokenopt-backup")
    lost = folder / "lost" / "open_clip"
    lost.mkdir(parents=True)
    (lost / "__init__.py").write_text(LOST)
    surroundings = {"PYTHONPATH": str(lost.parent), "PYTHONIOENCODING": "cp1252"}
    with ComfyServer(base, log=folder / "log", environment=surroundings) as running:
        yield running


@pytest.fixture
def client(poor):
    return poor.client()


@pytest.fixture
def used(poor) -> Path:
    """The folder of the copy that is used, as the log says."""
    lines = re.findall(r"TokenOpt: (.+) is used, and the copy in (.+) adds", poor.log_text())
    copies = {str(poor.base / "custom_nodes" / name) for name in ("tokenopt", "tokenopt-backup")}
    assert len(lines) == 1
    assert set(lines[0]) == copies
    return Path(lines[0][0])


def test_the_second_copy_adds_nothing(client, used):
    ours = {n: i for n, i in client.object_info().items() if n.startswith("TokenOpt_")}
    assert len(ours) > 30
    assert {info["python_module"] for info in ours.values()} == {f"custom_nodes.{used.name}"}
    scripts = [name for name in client.get("/extensions").json() if "tokenopt" in name]
    assert scripts
    assert all(name.startswith(f"/extensions/{used.name}/") for name in scripts)
    folders = {f["name"]: f["folders"] for f in client.get("/experiment/models").json()}
    assert [len(folders[kind]) for kind in ("titok", "titok_guides")] == [1, 1]
    answer = requests.post(f"{client.url}/tokenopt/stop", timeout=30)
    assert answer.status_code == 409  # nothing runs


def test_a_message_with_a_letter_that_the_log_lacks_ends_nothing(client):
    tokens = {
        "1": node("TokenOpt_LoadTokenizer", tokenizer="demo"),
        "2": node("TokenOpt_RandomTokens", tokenizer=["1", 0], seed=0, batch_size=1, scale=1.0),
        "3": node("TokenOpt_Copy", target=["2", 0], reference=["2", 0], positions=f"\u00e9 {FOX}"),
        "4": node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["3", 0]),
        "5": node("PreviewImage", images=["4", 0]),
    }
    fails_with(client, tokens, "positions is '\u00e9 \\U0001f98a', expected whole numbers")
    tokens["3"]["inputs"]["positions"] = "0-3"
    succeed(client, tokens)  # the thread that runs prompts is there still


def test_requirements_that_nobody_installed_come_with_the_command(client, used):
    guide = {
        "1": node("TokenOpt_LoadGuide", model="demo"),
        "2": node("Hostile_Digest", value=["1", 0], nonce=0),
    }
    run = client.run(guide)
    message = run.error["exception_message"].strip()
    assert run.error["exception_type"] == "ImportError", message
    assert "(No module named 'open_clip'); run: " in message
    assert f"{sys.executable} -m pip install -r {used / 'requirements.txt'} and start" in message
    assert len(message.split()) <= WORDS
