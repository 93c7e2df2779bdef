"""dev.py: links that respect a user's files, the environment, the gate of the tests."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from devtools.comfyui.layout import COMFYUI, ROOT, _link, comfyui_folder, make_base
from devtools.templates.make import columns_of, sources_of
from devtools.verdict import wanted_by


def test_base_holds_the_pack_as_a_link(tmp_path):
    base = make_base(tmp_path / "base")
    assert (base / "custom_nodes" / "tokenopt").resolve() == ROOT
    assert make_base(base) == base


def test_base_follows_a_moved_repository(tmp_path):
    """On Windows the link is a junction, which looks like neither a link nor a folder by then."""
    link, was = tmp_path / "custom_nodes" / "tokenopt", tmp_path / "where_it_was"
    link.parent.mkdir()
    was.mkdir()
    _link(link, was)
    was.rmdir()
    make_base(tmp_path)
    assert link.resolve() == ROOT


def test_base_never_removes_what_a_user_put_there(tmp_path):
    theirs = tmp_path / "custom_nodes" / "tokenopt"
    theirs.mkdir(parents=True)
    (theirs / "mine.txt").write_text("mine")
    settings = tmp_path / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text("{}")
    with pytest.raises(FileExistsError, match="in the way"):
        make_base(tmp_path)
    assert (theirs / "mine.txt").read_text() == "mine"
    assert settings.read_text() == "{}"


@pytest.mark.parametrize(("required", "status"), [("dev", 0), ("server", 1)])
def test_run_without_a_required_group_fails(required, status):
    """A green result in which the server tests did not run would mean nothing."""
    passes = "tests/dev/test_pack_rules.py::test_a_level_of_comfy_test_that_did_not_run_is_told"
    command = [sys.executable, "-m", "pytest", "-q", passes]
    done = subprocess.run(
        [*command, "--require", required], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == status, done.stdout
    assert ("required group 'server' executed no test" in done.stdout) == bool(status)
    assert re.match(r"\d+ passed in", done.stdout.splitlines()[-1])


def test_env_prints_the_python_of_the_environment_last():
    given = ["--comfyui", str(comfyui_folder())] if comfyui_folder() != COMFYUI else []
    command = [sys.executable, "dev.py", "env", *given]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    python = done.stdout.splitlines()[-1]
    subprocess.run([python, "-c", "import torch, tokenopt_core"], cwd=ROOT, check=True)


def test_unknown_comfyui_folder_is_one_sentence(tmp_path):
    command = [sys.executable, "dev.py", "env", "--comfyui", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("dev.py: ")
    assert len(done.stderr.splitlines()) == 1


def test_columns_follow_the_links():
    graph = {
        "1": {"class_type": "A", "inputs": {"seed": 1}},
        "2": {"class_type": "B", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "C", "inputs": {"a": ["1", 0], "b": ["2", 0]}},
        "4": {"class_type": "D", "inputs": {}},
    }
    assert columns_of(sources_of(graph)) == [["1", "4"], ["2"], ["3"]]


def test_a_prompt_wants_the_attributes_it_names():
    prompt = "a large Green star on the left, plain sky background"
    assert wanted_by(prompt) == {
        "size": "large",
        "colour": "green",
        "shape": "star",
        "position": "left",
        "background": "sky",
        "pattern": "plain",
    }
    assert wanted_by("nothing of this world") == {}
