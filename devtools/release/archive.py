"""The registry's archive of this pack: the tracked files less those of .comfyignore.

`comfy node pack` makes its archive by the same two rules; `python -m devtools.release.registry`
holds the two side by side. Git itself reads .comfyignore here: its patterns are those of
.gitignore.
"""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

from ..comfyui.layout import ROOT

IGNORED = ".comfyignore"


def archive_files(root: Path = ROOT) -> list[str]:
    """The names in the archive of the repository at `root`: relative, with slashes, sorted."""
    ignored = _listed(root, "--cached", "--ignored", f"--exclude-from={IGNORED}")
    present = (name for name in _listed(root) if (root / name).is_file())  # not: removed just now
    return sorted(set(present) - set(ignored))


def pack(archive: Path, root: Path = ROOT) -> Path:
    """Writes the archive of the repository at `root` as it is on the disk now."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name in archive_files(root):
            opened.write(root / name, name)
    return archive


def unpack(archive: Path, folder: Path) -> Path:
    """What ComfyUI Manager does with an archive: its files become a folder of custom_nodes."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return folder


def _listed(root: Path, *options: str) -> list[str]:
    command = ["git", "-C", str(root), "ls-files", "-z", *options]
    listed = subprocess.run(command, capture_output=True, check=True).stdout
    return [name for name in listed.decode().split("\0") if name]
