"""What a real ComfyUI loads when it registers the pack and describes its nodes to a page.

ComfyUI itself has loaded most of the heavy libraries by then. Here they are taken away again before
the pack comes, and may not be had: so an import of ours shows, wherever it hides. So does a look at
the network, which Python itself reports.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from devtools.comfyui.layout import comfyui_folder, make_base

HEAVY = [
    *("accelerate", "diffusers", "huggingface_hub", "kornia", "open_clip", "safetensors", "scipy"),
    *("timm", "tokenizers", "torchaudio", "torchvision", "transformers"),
    *("torch._dynamo", "torch._inductor"),  # of torch.compile: seconds
]

REGISTER = """
import asyncio, json, sys
from pathlib import Path
base, *heavy = sys.argv[1:]
sys.argv[1:] = ["--cpu", "--base-directory", base]
import comfy.options
comfy.options.enable_args_parsing()
import utils.extra_config  # before `nodes`, which hides this package
import nodes, server

asked = []
NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
sys.addaudithook(lambda event, _: asked.append(event) if event in NETWORK else None)
def is_heavy(name):
    return any(f"{name}.".startswith(f"{module}.") for module in heavy)
class Refusal:
    def find_spec(name, path=None, target=None):
        if is_heavy(name):
            asked.append(name)
            raise ModuleNotFoundError(name)
for name in filter(is_heavy, list(sys.modules)):
    del sys.modules[name]
sys.meta_path.insert(0, Refusal)

async def asked_by(pack):
    asked.clear()
    await nodes.load_custom_node(str(pack))
    for name, node in nodes.NODE_CLASS_MAPPINGS.items():
        if name.startswith("TokenOpt_"):
            node.GET_NODE_INFO_V1()
    return list(asked)

async def register():
    server.PromptServer(asyncio.get_running_loop())
    return {pack.name: await asked_by(pack) for pack in Path(base, "custom_nodes").iterdir()}

asked_for = asyncio.run(register())
found = nodes.NODE_CLASS_MAPPINGS.items()
pack = {name.removeprefix("TokenOpt_"): node for name, node in found if "TokenOpt_" in name}

# What the nodes say to an older and to a newer ComfyUI: to a schema without three fields, and with.
from dataclasses import dataclass, fields
import importlib, inspect
NEWER = ("search_aliases", "essentials_category", "has_intermediate_output")
package = next(iter(pack.values())).__module__.rpartition(".nodes.")[0]
io = importlib.import_module(f"{package}.nodes.host.compat").io
whole = io.Schema
def play(names):
    own = [field for field in fields(whole) if field.name not in NEWER]
    space = {field.name: field for field in own} | dict.fromkeys(names)
    space["__annotations__"] = {name: object for name in space}
    io.Schema = dataclass(type("Schema", (), space))
    said = {name: node.define_schema() for name, node in pack.items()}
    return {
        name: {"name": schema.display_name, "category": schema.category, "advanced": [
            slot.id for slot in schema.inputs if slot.as_dict().get("advanced")
        ]} | {new: getattr(schema, new) for new in names} for name, schema in said.items()
    }

def speaks(node):  # about its run, to the page
    return any(word in inspect.getsource(node.execute) for word in ("ui=", "run_easily("))
talkers = [name for name, node in pack.items() if speaks(node)]
talkers = [name for name in talkers if not pack[name].define_schema().is_output_node]
print(json.dumps([asked_for, play(()), play(NEWER), talkers]))
"""
# The words that people type, and what has to come up: the page of 0.3.75 looks at ids and names, a
# newer one at the search words too (NodeSearchService of the front ends 1.32.9 and 1.49.6).
SEARCHES = {
    "inpaint": (["EasyInpaint"], ["Optimize", "MaskedL1Loss", "MaskedComposite", "ClipLoss"]),
    "edit": (["EasyTextEdit"], ["Optimize", "Inspect", "Copy", "Set", "EasyInpaint"]),
    "text": (["EasyTextEdit", "TextToTokens", "TokensToText"], ["ClipLoss", "Optimize"]),
    "clip": (["LoadGuide", "ClipLoss"], ["ImagePromptLoss", "Judge", "EasyTextEdit"]),
    "morph": ([], ["Blend"]),
    "xy plot": ([], ["Sweep"]),
    "load model": ([], ["LoadTokenizer", "LoadGuide"]),
}


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """Heavy modules and network that each pack asked for, and the schemas in both kinds of ComfyUI.

    A second pack, which asks for both, shows that it would be seen.
    """
    folder = tmp_path_factory.mktemp("registered")
    careless = folder / "careless"
    careless.mkdir()
    call = "import socket\nsocket.socket().connect_ex(('127.0.0.1', 9))\n"
    (careless / "__init__.py").write_text(call + "import torchvision.transforms\n")
    command = [sys.executable, "-c", REGISTER, str(make_base(folder / "base", careless)), *HEAVY]
    run = subprocess.run(command, cwd=comfyui_folder(), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def schemas(registered):
    """Node id without its prefix -> what it says to an older, and to a newer ComfyUI."""
    return registered[1:3]


def test_nothing_heavy_is_loaded_and_no_network_asked_before_the_first_run(registered):
    assert registered[0] == {"tokenopt": [], "careless": ["socket.connect", "torchvision"]}
    assert len(registered[1]) > 30


def test_an_older_comfyui_gets_the_same_nodes_without_what_it_does_not_know(schemas):
    older, newer = schemas
    assert list(older) == list(newer)
    for node, said in older.items():
        assert said == {key: newer[node][key] for key in said}
        assert not {"search_aliases", "essentials_category", "has_intermediate_output"} & set(said)
    essential = {node for node, said in newer.items() if said["essentials_category"]}
    assert essential == {"EasyTextEdit", "EasyInpaint"}


def test_what_a_node_said_comes_again_with_a_cached_run_on_a_newer_comfyui(registered):
    """Output nodes say it again everywhere, the others only with this field (ComfyUI 0.19)."""
    _, _, newer, talkers = registered
    assert {"Optimize", "EasyTextEdit", "Sweep", "ClipLoss"} < set(talkers)
    assert {node for node, said in newer.items() if said["has_intermediate_output"]} == set(talkers)


def test_the_menu_begins_with_the_easy_nodes_and_has_short_folders(schemas):
    folders: dict[str, list[str]] = {}
    for node, said in schemas[1].items():
        folders.setdefault(said["category"], []).append(node)
    assert set(folders.pop("TokenOpt")) == {"EasyTextEdit", "EasyInpaint"}
    for folder, inside in folders.items():
        assert re.fullmatch(r"TokenOpt/[a-z ]+", folder), folder
        assert 1 < len(inside) < 9, folder


def test_every_node_has_search_words_that_its_name_does_not_say(schemas):
    for node, said in schemas[1].items():
        words = said["search_aliases"]
        assert all(word == word.lower().strip() for word in words), node
        assert len({word for word in words if word not in said["name"].lower()}) > 1, node


@pytest.mark.parametrize("newer", [False, True])
def test_people_find_the_nodes_by_what_they_want_to_do(schemas, newer):
    for word, (by_name, by_search_words) in SEARCHES.items():
        wanted = [*by_name, *by_search_words] if newer else by_name
        found = {
            node
            for node, said in schemas[newer].items()
            if word in " ".join([node, said["name"], *said.get("search_aliases", ())]).lower()
        }
        assert set(wanted) <= found, word


def test_rare_settings_are_advanced(schemas):
    assert "noise_scale" in schemas[1]["Optimize"]["advanced"]
    assert "steps" not in schemas[1]["Optimize"]["advanced"]
