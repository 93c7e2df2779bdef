"""ComfyUI as this pack sees it: the only module that imports ComfyUI's own packages.

Written for ComfyUI 0.3.75 and later; what a newer version adds is used here when it exists.
"""

from dataclasses import fields

import folder_paths
from aiohttp import web
from comfy import model_management
from comfy.cli_args import args as options
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP
from comfy.utils import ProgressBar
from comfy_api.latest import ComfyExtension, io, ui
from comfy_execution.utils import get_executing_context
from comfyui_version import __version__ as COMFYUI_VERSION
from server import PromptServer

CATEGORY = "TokenOpt"
# Fields of a schema since 0.11, 0.15 and 0.19. The last one: what the node says of its run comes
# again with a cached one, for a page that was loaded anew.
NEWER = ("search_aliases", "essentials_category", "has_intermediate_output")


def schema(**settings) -> io.Schema:
    """A node's schema; of the fields in `NEWER` those that this ComfyUI knows.

    An unknown one would be an error, and no node of the pack would be there. Tooltips end with the
    default, so that a user finds back to it.
    """
    known = {field.name for field in fields(io.Schema)}
    for widget in settings["inputs"]:
        widget.tooltip = _with_default(widget)
    fields_here = {n: v for n, v in settings.items() if n in known or n not in NEWER}
    return io.Schema(**fields_here)


def _with_default(widget: io.Input) -> str | None:
    """Its tooltip and its default; of texts only a short one, others would be an essay."""
    value, text = getattr(widget, "default", None), widget.tooltip
    if isinstance(value, bool):
        value = "on" if value else "off"
    lengthy = getattr(widget, "multiline", False) or value in (None, "")
    return text if lengthy or not text else f"{text} Default: {value}."


def advanced(widget: io.Input) -> io.Input:
    """`widget`, shown under "advanced" by newer front ends (ComfyUI 0.10)."""
    widget.extra_dict = {**(widget.extra_dict or {}), "advanced": True}
    return widget


def metadata_wanted() -> bool:
    """Whether images may carry text; False when ComfyUI was started with --disable-metadata."""
    return not options.disable_metadata


def executing() -> tuple[str | None, str | None]:
    """Prompt id and node id of the node that runs now; None and None outside a run."""
    context = get_executing_context()
    return (context.prompt_id, context.node_id) if context else (None, None)


__all__ = [
    "CATEGORY",
    "COMFYUI_VERSION",
    "CallbacksMP",
    "ComfyExtension",
    "ModelPatcher",
    "ProgressBar",
    "PromptServer",
    "advanced",
    "executing",
    "folder_paths",
    "io",
    "metadata_wanted",
    "model_management",
    "schema",
    "ui",
    "web",
]
