"""Released weights from a hub on this computer: complete, cached, cancelled, cut short, offline."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tokenopt_core.tokenizers import (
    RELEASES,
    TokenizerSpec,
    ViTSize,
    build_tokenizer,
    find_release,
    save_tokenizer,
)

HERE = Path(__file__).parent
FILES = ["config.json", "model.safetensors"]


@pytest.fixture(scope="module")
def session(tmp_path_factory, clip_folder):
    """What hub_session.py reports, by the name of the attempt; run once."""
    work = tmp_path_factory.mktemp("hub")
    size = ViTSize(width=32, layers=1, heads=1)
    spec = TokenizerSpec(
        name="tiny", image_size=16, num_tokens=2, token_size=4, codebook_size=8,
        encoder=size, decoder=size,
    )  # fmt: skip
    torch.manual_seed(0)
    save_tokenizer(build_tokenizer(spec), work / "published")
    guide = shutil.copytree(clip_folder, work / "guide")
    config = json.loads((guide / "open_clip_config.json").read_text(encoding="utf-8"))
    config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "lab/guide"
    (guide / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    command = [sys.executable, HERE / "hub_session.py", work / "published", work / "computer"]
    ran = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(HERE.parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_a_release_is_downloaded_once(session):
    first = session["first"]
    assert not session["found before"]
    assert first["error"] is None
    assert first["name"] == "tiny"
    assert first["left"] == ["tiny", *(f"tiny/{file}" for file in FILES)]
    assert session["second"]["name"] == "tiny"
    assert session["second"]["requests"] == []


def test_progress_reaches_the_size_of_all_files(session):
    progress = session["first"]["progress"]
    assert progress == sorted(progress)
    assert progress[-1][0] == progress[-1][1] > 300_000


def test_without_a_models_folder_the_hub_cache_is_used(session):
    assert session["cache"]["name"] == session["cache again"]["name"] == "tiny"
    assert "GET lab/tiny/model.safetensors" in session["cache"]["requests"]
    assert session["cache again"]["requests"] == []


def test_cancelling_leaves_nothing(session):
    assert session["cancelled"]["error"].startswith("Cancelled: ")
    assert session["cancelled"]["left"] == []


def test_an_incomplete_file_is_refused_and_removed(session):
    cut = session["cut"]
    assert cut["error"].startswith("DownloadError: Could not download model.safetensors (")
    assert "damaged or incomplete" in cut["error"]
    assert cut["left"] == []
    assert "damaged or incomplete" in session["cut, cache"]["error"]
    assert not session["cut, found"]


@pytest.mark.parametrize(
    ("attempt", "file"), [("absent", "model.safetensors"), ("offline", "config.json")]
)
def test_a_failed_download_tells_the_manual_way(session, attempt, file):
    error, name = session[attempt]["error"], "tiny" if attempt == "offline" else attempt
    assert error.startswith(f"DownloadError: Could not download {file}")
    assert f" of {name!r}: " in error
    assert re.search(f"put config.json and model.safetensors from http://[^ ]+/{name} into ", error)
    assert Path(error.rstrip(".").rpartition(" into ")[2]).parts[-2:] == (attempt, name)
    assert session[attempt]["left"] == []


def test_offline_without_a_models_folder(session):
    error = session["offline cache"]["error"]
    assert "into a folder FOLDER/cut (models_dir=FOLDER)." in error


GUIDE_FILES = ["open_clip_config.json", "open_clip_model.safetensors"]
WORD_FILES = ["tokenizer.json", "tokenizer_config.json"]


def test_a_guide_is_downloaded_with_progress(session):
    guide = session["guide"]
    assert guide["error"] is None
    files = [f"lab/guide/{file}" for file in (*GUIDE_FILES, *WORD_FILES)]
    assert guide["left"] == ["lab", "lab/guide", *files]
    assert guide["progress"][-1][0] == guide["progress"][-1][1] > 0
    assert session["guide, cancelled"]["error"].startswith("Cancelled: ")
    assert session["guide, cancelled"]["left"] in ([], ["lab"])


def test_a_guide_that_is_there_needs_no_network(session):
    for attempt in ("guide, there", "guide, in the cache"):
        assert session[attempt]["error"] is None
        assert session[attempt]["name"] == "hf-hub:lab/guide"
    assert session["guide, cache"]["error"] is None


def test_a_caption_encoder_is_downloaded_as_a_guide_is(session):
    encoder = session["caption encoder"]
    assert (encoder["error"], encoder["name"]) == (None, "hf-hub:lab/guide")
    assert encoder["left"] == session["guide"]["left"]


def test_a_guide_offline_tells_the_manual_way(session):
    error = session["guide, offline"]["error"]
    assert error.startswith("DownloadError: Could not download open_clip_config.json of 'lab/")
    assert re.search(" from http://[^ ]+/lab/guide into ", error)
    assert error.rstrip(".").endswith("guide")


def test_with_download_off_nothing_is_asked(session):
    for attempt, name in (("off", "tiny"), ("guide, off", "lab/guide")):
        assert session[attempt]["error"].startswith(f"DownloadError: {name!r} is not on this comp")
        assert session[attempt]["requests"] == []
    assert "(about 306 kB)" in session["off"]["error"]


def test_what_is_there_needs_no_network(session):
    assert session["offline, there"]["name"] == "tiny"


def test_weights_that_were_put_there_by_hand_are_found(tmp_path):
    release = RELEASES["titok-l32"]
    assert find_release(release, tmp_path) is None
    (tmp_path / "titok-l32").mkdir()
    (tmp_path / "titok-l32" / "model.safetensors").touch()
    assert find_release(release, tmp_path) == tmp_path / "titok-l32"
