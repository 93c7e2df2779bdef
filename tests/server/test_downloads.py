"""From a click to a result: templates for released weights, missing models, a hub that fails.

A server of its own is pointed to a hub on this computer. Behind the released names are small models
in the released layouts (small_releases); the templates are run as they are shipped, but for the
number of steps.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from PIL import Image

from devtools.comfyui.checks import node, succeed
from devtools.comfyui.hub import LocalHub, Manner
from devtools.comfyui.layout import DEV, ROOT, make_base
from devtools.comfyui.server import ComfyServer
from devtools.templates.released import (
    GUIDE,
    MODELS,
    TEXT_AWARE,
    TOKENIZER,
    is_released,
    small,
)

WORDS = 60  # longer messages are not one sentence
TEMPLATES = sorted(
    p.stem for p in (ROOT / "workflows" / "api").glob("*.json") if is_released(p.stem)
)
REPOS = {kind: "/".join(model["url"].split("/")[3:5]) for kind, model in MODELS.items()}
WEIGHTS = {kind: model["url"].rpartition("/")[2] for kind, model in MODELS.items()}
LOAD, GUIDES = "TokenOpt_LoadTokenizer", "TokenOpt_LoadGuide"
CAPTIONS = "timm/vit_large_patch14_clip_336.openai"

# The user's first place for models, in which nothing can be written: below a file, so that it stops
# an administrator too. Downloads go to the next.
PLACES = "shared:\n  base_path: {}\n  titok: tokenizers\n  titok_guides: guides\n"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Has small models under the released names."""
    import torch
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    from tokenopt_core.tokenizers import RELEASES, build_tokenizer, save_tokenizer

    made = tmp_path_factory.mktemp("models")
    config = Path(__file__).with_name("small_releases") / f"{GUIDE.partition('/')[0]}.json"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_tokenizer(build_tokenizer(small(RELEASES[TOKENIZER].spec)), made)
        guide = CLIP(**json.loads(config.read_text(encoding="utf-8")))
        release = RELEASES[TEXT_AWARE]
        save_tokenizer(build_tokenizer(small(release.spec)), made / TEXT_AWARE)
    save_file(guide.state_dict(), made / WEIGHTS[GUIDES])
    with LocalHub() as running:
        for file in ("config.json", WEIGHTS[LOAD]):
            running.files[f"{REPOS[LOAD]}/{file}"] = (made / file).read_bytes()
        name = WEIGHTS[GUIDES]
        for repo in (REPOS[GUIDES], CAPTIONS):  # both small ones are the same
            running.files[f"{repo}/{name}"] = (made / name).read_bytes()
        for path in (made / TEXT_AWARE).iterdir():
            running.files[f"{release.repo}/{path.name}"] = path.read_bytes()
        yield running


@pytest.fixture(scope="module")
def online(hub, tmp_path_factory):
    """A server that may download, from that hub."""
    name = f"{os.environ.get('TOKENOPT_TEST_BASE') or 'test-base'}-downloads"
    base = make_base(DEV / name, Path(__file__).with_name("small_releases"))
    for kind in ("titok", "titok_guides"):
        shutil.rmtree(base / "models" / kind, ignore_errors=True)
    more = tmp_path_factory.mktemp("places") / "paths.yaml"
    more.write_text(PLACES.format(json.dumps(str(more))), encoding="utf-8")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HF_ENDPOINT", hub.url)
        environment.setenv("HF_HOME", str(tmp_path_factory.mktemp("home")))
        environment.setenv("NO_PROXY", "127.0.0.1")
        for variable in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN"):
            environment.delenv(variable, raising=False)
        log = DEV / "logs" / f"{name}.log"
        paths = ["--extra-model-paths-config", str(more)]
        with ComfyServer(base, log=log, offline=False, arguments=paths) as running:
            yield running


def short(graph):
    """A template with 4 steps, 2 crops and the picture of `picture`; all else as shipped."""
    for each in graph.values():
        kind, inputs = each["class_type"], each["inputs"]
        if kind == "TokenOpt_Optimize":
            inputs |= {"steps": 4, "preview_every": 0}
        elif kind == "TokenOpt_ClipLoss":
            inputs["crops"] = 2
    return graph


def upload_picture(client) -> None:
    """example.png, 300 x 280, with a part that is painted in the mask editor."""
    picture = Image.linear_gradient("L").resize((300, 280)).convert("RGBA")
    picture.paste((0, 0, 0, 0), (100, 100, 200, 200))
    client.upload(picture, "example.png")


def number_of(graph, kind: str) -> str:
    return next(number for number, each in graph.items() if each["class_type"] == kind)


def message_of(run) -> str:
    assert run.status == "error", run.status
    message = run.error["exception_message"].strip()
    assert "\n" not in message
    assert len(message.split()) <= WORDS, message
    return message


def test_cancelled_then_resumed_to_a_result(online, hub, workflow):
    client = online.client()
    upload_picture(client)
    graph = short(workflow("l32_text_edit"))
    where = online.base / "models" / "titok"
    size = sum(len(data) for key, data in hub.files.items() if key.startswith(REPOS[LOAD]))
    hub.manners[REPOS[LOAD]] = Manner(break_at=2_500_000, hang=60, ways=("GET",))
    asked = []

    def stop(event) -> None:
        if event.kind == "progress" and event.data["value"] > 2_000_000 and not asked:
            client.interrupt()
            asked.append(time.monotonic())
        elif event.kind == "execution_interrupted":
            asked.append(time.monotonic())

    cancelled = client.run(graph, on_event=stop)
    assert cancelled.status == "interrupted", cancelled.error
    assert asked[1] - asked[0] < 8  # a busy machine takes its time; the silent hub 10 s at least
    assert [path.name for path in where.iterdir()] == [f".{TOKENIZER}.partial"]

    hub.manners.clear()
    before = len(hub.requests)
    run = succeed(client, graph)
    (got,) = (each for each in hub.requests[before:] if f"GET {REPOS[LOAD]}/model" in each)
    assert int(got.rpartition(" from ")[2]) > 2_000_000
    for kind in MODELS:
        done, total = run.progress(number_of(graph, kind))[-1]
        assert done == total > 6_000_000
    assert run.progress(number_of(graph, LOAD))[-1] == (size, size)
    assert client.images(run, "9")[0].size == (256, 256)
    for model in MODELS.values():
        assert (online.base / "models" / model["directory"] / model["name"]).is_file()
    log = online.log_text()
    assert f"Downloading {TOKENIZER}: config.json and model.safetensors (8 MB) from " in log
    assert f"Downloaded {GUIDE}: 7 MB in " in log
    listed = client.get("/models/titok").json()
    assert MODELS[LOAD]["name"] in listed  # the front end finds it: no message about missing models


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name != "l32_text_edit"])
def test_the_other_templates_run(online, hub, workflow, name):
    client = online.client()
    upload_picture(client)
    graph = short(workflow(name))
    run = succeed(client, graph)
    (saved,) = (
        number
        for number, each in graph.items()
        if each["class_type"] == "SaveImage" and "before" not in each["inputs"]["filename_prefix"]
    )
    wanted = (300, 280) if name == "l32_inpaint" else (256, 256)
    assert client.images(run, saved)[0].size == wanted


def loading(name: str, **more):
    return {
        "1": node(LOAD, tokenizer=name, **more),
        "2": node("TokenOpt_PositionPreset", tokenizer=["1", 0], preset="all"),
        "3": node("PreviewAny", source=["2", 0]),
    }


def test_without_a_caption_the_empty_one_is_used_and_said_once(online, hub):
    """Its encoder is downloaded by the node that decodes, once; the rest of it is not kept."""
    client = online.client()
    attributes = dict.fromkeys(("shape", "colour", "size", "position", "background"), "random")
    attributes |= dict.fromkeys(("pattern", "light", "focus"), "random")
    graph = {
        "1": node(LOAD, tokenizer=TEXT_AWARE),
        "2": node("TokenOpt_DemoScene", seed=0, batch_size=1, **attributes),
        "3": node("TokenOpt_Encode", tokenizer=["1", 0], image=["2", 0]),
        "4": node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["3", 0]),
        "5": node("PreviewImage", images=["4", 0]),
        "6": node("TokenOpt_LoadCaptionEncoder", model="ViT-L-14-336/openai", download=False),
        "7": node("TokenOpt_Caption", caption_encoder=["6", 0], text=" "),
        "8": node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["3", 0], caption=["7", 0]),
        "9": node("PreviewImage", images=["8", 0]),
    }
    alone = {number: graph[number] for number in "12345"}
    without = client.images(succeed(client, alone), "5")
    place = online.base / "models" / "titok_guides" / "ViT-L-14-336" / "openai"
    assert [path.name for path in place.iterdir()] == ["open_clip_model.safetensors"]
    alone["2"]["inputs"]["seed"] = 1
    succeed(client, alone)
    told = f"TokenOpt: {TEXT_AWARE} decodes with a caption, and none is connected: the empty one"
    assert online.log_text().count(told) == 1
    graph["2"]["inputs"]["seed"] = 0
    given = client.images(succeed(client, graph), "9")
    assert without[0].tobytes() == given[0].tobytes()
    assert len([each for each in hub.requests if each.startswith(f"GET {CAPTIONS}/")]) == 1


def test_download_off_says_what_is_missing(online, hub):
    before = len(hub.requests)
    message = message_of(online.client().run(loading("titok-b64", download=False)))
    assert "'titok-b64' is not on this computer, and download is off" in message
    assert "(about 819 MB)" in message
    assert f"from {hub.url}/yucornetto/tokenizer_titok_b64_imagenet into " in message
    assert message.rstrip(".").endswith(str(Path("models") / "titok" / "titok-b64"))
    assert hub.requests[before:] == []


def test_a_hub_that_has_no_such_file(online):
    message = message_of(online.client().run(loading("titok-b64")))
    assert "Could not download config.json of 'titok-b64': the hub answers 404" in message


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_server_that_may_not_download_says_so_at_once(client, workflow, name):
    """ComfyUI accepts the template; HF_HUB_OFFLINE, as its administrator set it, is respected."""
    upload_picture(client)
    begun = time.monotonic()
    message = message_of(client.run(workflow(name)))
    assert time.monotonic() - begun < 8  # at least 10 s, had it been asked
    assert "HF_HUB_OFFLINE forbids to use the network" in message
