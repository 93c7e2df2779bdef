"""ComfyUI as this pack sees it: the only module that imports ComfyUI's own packages.

Written for ComfyUI 0.3.75 and later; what a newer version adds is used here when it exists.
"""

import folder_paths
from comfy import model_management
from comfy.model_patcher import ModelPatcher
from comfy.utils import ProgressBar
from comfy_api.latest import ComfyExtension, io

CATEGORY = "TokenOpt"


def advanced(widget: io.Input) -> io.Input:
    """`widget`, shown under "advanced" by newer front ends (ComfyUI 0.10)."""
    widget.extra_dict = {**(widget.extra_dict or {}), "advanced": True}
    return widget


__all__ = [
    "CATEGORY",
    "ComfyExtension",
    "ModelPatcher",
    "ProgressBar",
    "advanced",
    "folder_paths",
    "io",
    "model_management",
]
