"""Folders of dev.py and the tests, and the link that shows the pack to a ComfyUI. stdlib only."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEV = ROOT / ".dev"  # everything that dev.py and the tests make, the environment (.venv) excepted
COMFYUI = DEV / "comfyui"
NEWEST_FRONTEND = DEV / "frontend"
FRONTEND_SETTINGS = {
    # Without these two the front end opens its template dialog over the canvas at the first visit.
    "Comfy.TutorialCompleted": True,
    "Comfy.InstalledVersion": "1.32.9",
}
# Threads of torch that wait asleep: while another program keeps a core busy, spinning ones make the
# small models 40 times slower. No loss on an idle machine.
QUIET_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}


def comfyui_folder() -> Path:
    """The ComfyUI to run: TOKENOPT_COMFYUI (`dev.py --comfyui`), otherwise the pinned one."""
    folder = Path(os.environ.get("TOKENOPT_COMFYUI") or COMFYUI)
    if not (folder / "main.py").is_file():
        raise FileNotFoundError(f"No ComfyUI in {folder}: run `python dev.py env` first.")
    return folder


def newest_frontend() -> Path:
    """The static files of the newest front-end package, which dev.py unpacks."""
    if not (NEWEST_FRONTEND / "index.html").is_file():
        raise FileNotFoundError(
            f"No front end in {NEWEST_FRONTEND}: run `python dev.py env` first."
        )
    return NEWEST_FRONTEND


def make_base(base: Path, *more_packs: Path) -> Path:
    """`base`, a ComfyUI --base-directory whose custom node packs are links to this repository and
    to `more_packs` (tests bring some).

    Models, inputs, outputs and the user's settings live under it, so that a ComfyUI that the user
    already has is run without a single file of it being changed.
    """
    make_folders(base)
    for name, pack in (("tokenopt", ROOT), *((pack.name, pack) for pack in more_packs)):
        link = base / "custom_nodes" / name
        if not link.exists() or link.resolve() != pack:
            _link(link, pack)
    return base


def make_folders(base: Path) -> Path:
    """`base`, a ComfyUI --base-directory; nothing in it is changed that is there already."""
    for folder in ("custom_nodes", "input", "models", "output", "temp", "user/default"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    settings = base / "user" / "default" / "comfy.settings.json"
    if not settings.exists():
        settings.write_text(json.dumps(FRONTEND_SETTINGS, indent=2), encoding="utf-8")
    return base


def _is_link(path: Path) -> bool:
    """Whether it is a symbolic link or a Windows junction, also one that leads nowhere."""
    try:
        os.readlink(path)
    except OSError:
        return False
    return True


def _link(link: Path, target: Path) -> None:
    if _is_link(link):  # ours, but the repository was moved
        link.unlink()
    elif link.exists():
        raise FileExistsError(f"{link} is in the way of the link to {target}: move it elsewhere.")
    if os.name == "nt":  # a junction: unlike a symbolic link it needs no administrator
        command = ["cmd", "/c", "mklink", "/J", str(link), str(target)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    else:
        link.symlink_to(target, target_is_directory=True)
