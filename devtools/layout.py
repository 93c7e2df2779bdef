"""Where dev.py keeps what it makes, and the link that shows the pack to a ComfyUI. stdlib only."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEV = ROOT / ".dev"  # everything that dev.py and the tests make, the environment (.venv) excepted
COMFYUI = DEV / "comfyui"
FRONTEND_SETTINGS = {
    # Without these two the front end opens its template dialog over the canvas at the first visit.
    "Comfy.TutorialCompleted": True,
    "Comfy.InstalledVersion": "1.32.9",
}


def comfyui_folder() -> Path:
    """The ComfyUI to run: TOKENOPT_COMFYUI (set by `dev.py --comfyui`), else the pinned one."""
    folder = Path(os.environ.get("TOKENOPT_COMFYUI") or COMFYUI)
    if not (folder / "main.py").is_file():
        raise FileNotFoundError(f"No ComfyUI in {folder}: run `python dev.py env` first.")
    return folder


def make_base(base: Path) -> Path:
    """`base`, a ComfyUI --base-directory whose only custom node pack is this repository (a link).

    Models, inputs, outputs and the user's settings live under it, so that a ComfyUI that the user
    already has is run without a single file of it being changed.
    """
    pack = base / "custom_nodes" / "tokenopt"
    for folder in ("custom_nodes", "input", "models", "output", "temp", "user/default"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    if not pack.exists() or pack.resolve() != ROOT:
        _link(pack, ROOT)
    settings = base / "user" / "default" / "comfy.settings.json"
    if not settings.exists():
        settings.write_text(json.dumps(FRONTEND_SETTINGS, indent=2), encoding="utf-8")
    return base


def _link(link: Path, target: Path) -> None:
    if link.is_symlink():  # ours, but the repository was moved
        link.unlink()
    elif link.exists():
        raise FileExistsError(f"{link} is in the way of the link to {target}: move it elsewhere.")
    if os.name == "nt":  # a junction: unlike a symbolic link it needs no administrator
        command = ["cmd", "/c", "mklink", "/J", str(link), str(target)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    else:
        link.symlink_to(target, target_is_directory=True)
