"""What a real ComfyUI loads when it registers the pack and describes its nodes to a page.

ComfyUI itself has loaded most of the heavy libraries by then. Here they are taken away again before
the pack comes, and may not be had: so an import of ours shows, wherever it hides. So does a look at
the network, which Python itself reports.
"""

from __future__ import annotations

import json
import subprocess
import sys

from devtools.layout import comfyui_folder, make_base

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
ours = [name for name in nodes.NODE_CLASS_MAPPINGS if name.startswith("TokenOpt_")]
print(json.dumps([ours, asked_for]))
"""


def test_nothing_heavy_is_loaded_and_no_network_asked_before_the_first_run(tmp_path):
    """A second pack, which does both, shows that it would be seen."""
    careless = tmp_path / "careless"
    careless.mkdir()
    call = "import socket\nsocket.socket().connect_ex(('127.0.0.1', 9))\n"
    (careless / "__init__.py").write_text(call + "import torchvision.transforms\n")
    command = [sys.executable, "-c", REGISTER, str(make_base(tmp_path / "base", careless)), *HEAVY]
    run = subprocess.run(command, cwd=comfyui_folder(), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    nodes, asked = json.loads(run.stdout.splitlines()[-1])
    assert asked == {"tokenopt": [], "careless": ["socket.connect", "torchvision"]}
    assert len(nodes) > 30
