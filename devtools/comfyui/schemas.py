"""Schemas of the nodes, asked of a ComfyUI without a server."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from .layout import comfyui_folder, make_base

_ASK = """
import asyncio, json, sys
from pathlib import Path
base = sys.argv[1]
sys.argv[1:] = ["--cpu", "--base-directory", base]
import comfy.options
comfy.options.enable_args_parsing()
import utils.extra_config  # before `nodes`, which hides this package
import nodes, server

async def load():
    server.PromptServer(asyncio.get_running_loop())
    await nodes.load_custom_node(str(Path(base, "custom_nodes", "tokenopt")))

asyncio.run(load())
found = nodes.NODE_CLASS_MAPPINGS.items()
pack = {name: node for name, node in found if name.startswith("TokenOpt_")}
print(json.dumps({name: node.GET_NODE_INFO_V1() for name, node in pack.items()}))
"""


def read_schemas() -> dict[str, dict]:
    """Node id -> what /object_info says about the node; takes some seconds.

    Raises:
        RuntimeError: the pack does not load; the message is ComfyUI's.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _ASK, str(make_base(Path(folder) / "base"))]
        run = subprocess.run(command, cwd=comfyui_folder(), capture_output=True, text=True)
    schemas = {} if run.returncode else json.loads(run.stdout.splitlines()[-1])
    if not schemas:  # ComfyUI itself only logs that a pack does not load
        raise RuntimeError(run.stderr)
    return schemas
