"""Metadata for the registry in pyproject.toml, by the registry's published rules."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from devtools.comfyui.layout import ROOT
from devtools.release.metadata import PLACEHOLDERS, PYPROJECT, downloadable, filled_in, read


def test_project_is_what_the_registry_takes():
    project = read()["project"]
    assert re.fullmatch(r"[a-z][a-z0-9]*([-_.][a-z0-9]+)*", project["name"])
    assert "comfy" not in project["name"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
    assert 0 < len(project["description"]) < 200
    assert project["requires-python"] == ">=3.10"
    assert (ROOT / project["readme"]).is_file()
    assert project["license"] == {"text": "Apache-2.0"}
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_every_system_is_declared_and_no_accelerator():
    """The pack also runs on a CPU, and the front end (1.58.1) calls a pack conflicting, on every
    machine, that declares one: it compares the registry's "GPU :: NVIDIA CUDA" with "CUDA"."""
    assert read()["project"]["classifiers"] == ["Operating System :: OS Independent"]


def test_models_are_those_that_the_code_downloads():
    assert read()["tool"]["comfy"]["Models"] == downloadable()


def test_nothing_is_claimed_before_it_is_known():
    text, told = PYPROJECT.read_text(encoding="utf-8"), read()
    assert told["tool"]["comfy"]["PublisherId"] == PLACEHOLDERS["publisher"]
    assert "urls" not in told["project"]
    assert not {"Icon", "Banner"} & set(told["tool"]["comfy"])
    assert PLACEHOLDERS["repository"] in text


def test_filled_in_it_names_the_repository_and_pictures_that_exist():
    text = PYPROJECT.read_text(encoding="utf-8")
    filled = filled_in(text, "someone", "some-one/a.pack")
    assert not any(placeholder in filled for placeholder in PLACEHOLDERS.values())
    before, told = read(), read(filled)
    address = "https://github.com/some-one/a.pack"
    assert told["project"].pop("urls")["Repository"] == address
    assert told["tool"]["comfy"]["PublisherId"] == "someone"
    for key, width, height in (("Icon", 400, 400), ("Banner", 1260, 540)):
        start = "https://raw.githubusercontent.com/some-one/a.pack/main/"
        with Image.open(ROOT / told["tool"]["comfy"].pop(key).removeprefix(start)) as picture:
            assert picture.size == (width, height)
    told["tool"]["comfy"]["PublisherId"] = PLACEHOLDERS["publisher"]
    assert told == before


@pytest.mark.parametrize(
    ("publisher", "repository", "named"),
    [("", "some/pack", "publisher"), ("me", "https://x/some/pack", "repository")],
)
def test_what_cannot_be_an_id_is_not_filled_in(publisher, repository, named):
    with pytest.raises(ValueError, match=f"The {named} is"):
        filled_in(PYPROJECT.read_text(encoding="utf-8"), publisher, repository)


def test_it_is_filled_in_only_once():
    filled = filled_in(PYPROJECT.read_text(encoding="utf-8"), "someone", "some/pack")
    with pytest.raises(ValueError, match="filled in already"):
        filled_in(filled, "someone", "some/pack")
