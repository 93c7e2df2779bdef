"""The registry's archive in a fresh ComfyUI: unpacked, used, and deleted again."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from devtools.comfyui.checks import node, pixels, succeed
from devtools.comfyui.layout import DEV
from devtools.comfyui.server import ComfyServer
from devtools.release.archive import unpack

# The folder may have any name, such as that of an archive which was downloaded twice. Only spaces
# are no good: ComfyUI 0.3.75 serves no pack's front end part out of a folder with one.
NAME = "TokenOpt-0.1.0(2)"
SHIPPED = "token_copy"
# What stays after the folder is deleted; README.md says the same.
LEFT = r"output/tokenopt/.*\.png|user/__tokenopt/embeddings/\w+\.safetensors"
# What ComfyUI itself has there, with or without the pack.
OF_COMFYUI = (
    r"input/.*|user/default/comfy\.settings\.json|user/comfyui\.(db|log).*|(temp|models)/.*"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home directory of the user who installs: empty."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def fresh(archive, home, tmp_path_factory) -> Iterator[ComfyServer]:
    """A ComfyUI without any other pack, in which the archive was unpacked."""
    base = tmp_path_factory.mktemp("comfyui")
    unpack(archive, base / "custom_nodes" / NAME)
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("HOME", "USERPROFILE", "XDG_CACHE_HOME"):
            patch.setenv(variable, str(home))
        for variable in ("HF_HOME", "TORCH_HOME"):
            patch.delenv(variable, raising=False)
        with ComfyServer(base, linked=False, log=DEV / "logs" / "install.log") as server:
            yield server


def test_the_archive_works_in_any_folder_and_leaves_only_what_a_user_made(fresh, workflow, home):
    """One story, as each part needs the one before: install, use, delete."""
    pack = fresh.base / "custom_nodes" / NAME
    _everything_is_listed(fresh, pack)
    _templates_run(fresh, workflow)
    fresh.stop()
    log = fresh.log_text()
    assert NAME in log
    assert not re.search(r"Traceback|IMPORT FAILED|Error|\[ERROR\]|WARNING.*tokenopt", log), log
    shutil.rmtree(pack)
    left = _files(fresh.base) - {
        name for name in _files(fresh.base) if re.fullmatch(OF_COMFYUI, name)
    }
    assert any(name.startswith("user/__tokenopt/") for name in left)
    assert {name for name in left if not re.fullmatch(LEFT, name)} == set()
    assert not {name for name in _files(home) if "tokenopt" in name.lower() or "hugging" in name}


def _everything_is_listed(fresh: ComfyServer, pack: Path) -> None:
    """Nodes, their help, the front end's part and the templates with thumbnails."""
    client = fresh.client()
    source = "\n".join(path.read_text(encoding="utf-8") for path in (pack / "nodes").rglob("*.py"))
    written = set(re.findall(r'node_id="(TokenOpt_\w+)"', source))
    assert len(written) > 30
    assert {name for name in client.object_info() if name.startswith("TokenOpt_")} == written
    for name in written:
        assert client.get(f"/extensions/{NAME}/docs/{name}.md").text.strip()

    scripts = {path.name for path in (pack / "web" / "js").glob("*.js")}
    served = [name for name in client.get("/extensions").json() if f"/{quote(NAME)}/" in name]
    assert {name.rsplit("/", 1)[1] for name in served} == scripts
    assert all(client.get(name).text for name in served)

    templates = client.get("/api/workflow_templates").json()[NAME]
    assert sorted(templates) == sorted(path.stem for path in (pack / "workflows").glob("*.json"))
    for template in templates:
        path = f"/api/workflow_templates/{NAME}/{template}"
        assert client.get(f"{path}.json").json()["nodes"]
        assert Image.open(io.BytesIO(client.get(f"{path}.jpg").content)).width >= 256


def _templates_run(fresh: ComfyServer, workflow) -> None:
    """One as it is, and a search in a folder, which keeps embeddings for the next time."""
    client = fresh.client()
    run = succeed(client, workflow(SHIPPED))
    before, after = pixels(client, run, "10"), pixels(client, run, "12")
    assert after.mean() < before.mean() - 20  # the dark was copied
    pool = fresh.base / "input" / "pool"
    pool.mkdir()
    for colour in ("red", "green"):
        Image.new("RGB", (64, 64), colour).save(pool / f"{colour}.png")
    graph = {
        "1": node("TokenOpt_LoadGuide", model="demo"),
        "2": node(
            "TokenOpt_SeedRetrieval",
            guide=["1", 0],
            prompts="a large red circle",
            choose="best",
            folder="pool",
            percent=10.0,
            seed=0,
            size=64,
        ),
        "3": node("SaveImage", images=["2", 0], filename_prefix="tokenopt/found"),
    }
    assert succeed(client, graph).executed == ["1", "2", "3"]


def _files(folder: Path) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in found}
