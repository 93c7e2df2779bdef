"""Servers that end in the middle, run beside each other, and cache in ComfyUI's other ways."""

from __future__ import annotations

import os
import shutil
import threading
import time

import numpy as np
import pytest
from PIL import Image

from devtools.comfyui.checks import node, pixels, succeed
from devtools.comfyui.layout import DEV, make_base
from devtools.comfyui.server import ComfyServer
from devtools.templates.short import short_templates
from tokenopt_core.tokenizers import load_tokenizer, save_tokenizer

MODEL = "lifecycle"
SIDE = 1024  # of images that take a while to be written


@pytest.fixture
def start(server, request):
    """Starts a server whose models folder is that of the session's server."""
    base = make_base(DEV / f"{server.base.name}-2", *(server.base / "custom_nodes").glob("h*_pack"))
    shutil.rmtree(base / "output")
    (base / "output").mkdir()
    if not (base / "models").is_symlink():
        shutil.rmtree(base / "models")
        (base / "models").symlink_to(server.base / "models", target_is_directory=True)
    running = []

    def begin(*arguments: str) -> ComfyServer:
        log = DEV / "logs" / f"{base.name}{''.join(arguments)}.log"
        running.append(ComfyServer(base, log=log, arguments=arguments).__enter__())
        return running[-1]

    yield begin
    for each in running:
        each.stop()


def edit() -> dict:
    """The text edit with a copy of the demo tokenizer, and a change of its tokens after it."""
    graph = short_templates()["text_edit"]
    graph["1"]["inputs"]["tokenizer"] = MODEL
    graph["20"] = node("TokenOpt_Copy", target=["6", 1], reference=["4", 0], positions="0-3")
    graph["21"] = node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["20", 0])
    graph["22"] = node("PreviewImage", images=["21", 0])
    return graph


def result(client) -> np.ndarray:
    run = succeed(client, edit())
    return np.concatenate([pixels(client, run, number) for number in ("8", "22")])


def saving(nonce: int) -> dict:
    """Saves large images and tokens for long, all the time."""
    return {
        "1": node("TokenOpt_LoadTokenizer", tokenizer=MODEL),
        "2": node("TokenOpt_DemoScene", seed=nonce, batch_size=64, shape="random",
                  colour="random", size="random", position="random", background="random",
                  pattern="random", light="random", focus="random"),
        "3": node("ImageScale", image=["2", 0], upscale_method="bicubic", width=SIDE, height=SIDE,
                  crop="disabled"),
        "4": node("TokenOpt_SaveImage", images=["3", 0], filename_prefix="killed/image"),
        "5": node("TokenOpt_Encode", tokenizer=["1", 0], image=["2", 0]),
        "6": node("TokenOpt_SaveTokens", tokenizer=["1", 0], tokens=["5", 0],
                  filename_prefix="killed/tokens"),
    }  # fmt: skip


def in_the_middle_of_saving(server) -> None:
    """Returns when a run has saved some images and goes on to save more."""
    folder = server.base / "output" / "killed"
    before = len(list(folder.glob("*.png")))
    server.client().submit(saving(before))
    deadline = time.monotonic() + 60
    while len(list(folder.glob("*.png"))) < before + 3:
        assert time.monotonic() < deadline, server.log_text()[-2000:]
        time.sleep(0.01)


def check_saved(server) -> None:
    """Every file that can be seen in the output folder is whole."""
    files = [f for f in (server.base / "output").rglob("*") if f.is_file()]
    shown = [file for file in files if not file.name.startswith(".")]
    assert {file.suffix for file in shown} <= {".png", ".safetensors"}
    images = [file for file in shown if file.suffix == ".png"]
    assert len(images) >= 3
    for file in images:
        with Image.open(file) as image:
            image.load()  # raises where the end is missing


@pytest.mark.skipif(os.name == "nt", reason="needs links and signals as other systems have them")
def test_killed_stopped_shared_and_cached_in_other_ways(server, client, start):
    save_tokenizer(load_tokenizer("demo"), server.base / "models" / "titok" / MODEL)
    expected = result(client)

    other = start("--cache-lru", "3")
    beside = []
    thread = threading.Thread(target=lambda: beside.append(result(server.client())))
    thread.start()  # the same models folder, at the same time
    np.testing.assert_array_equal(result(other.client()), expected)
    thread.join()
    np.testing.assert_array_equal(beside[0], expected)
    in_the_middle_of_saving(other)
    other.process.kill()
    other.process.wait()
    check_saved(other)

    again = start("--cache-none")
    client = again.client()
    for _ in range(2):
        np.testing.assert_array_equal(result(client), expected)
    in_the_middle_of_saving(again)
    again.process.terminate()
    again.process.wait()
    check_saved(again)
    whole = {p.name for p in (server.base / "models" / "titok" / MODEL).iterdir()}
    assert whole == {"config.json", "model.safetensors"}
