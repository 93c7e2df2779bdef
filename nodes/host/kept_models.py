"""Models of nodes that load them on their own: no result in ComfyUI's cache holds these."""

from __future__ import annotations

from .compat import CallbacksMP, ModelPatcher, model_management
from .sockets import LoadedModel

KEY = "tokenopt"

_kept: dict[type[LoadedModel], LoadedModel] = {}


def keep_until_unloaded(model: LoadedModel) -> None:
    """Holds the model for the next run, until ComfyUI unloads it because it needs the memory or
    was asked to, or until another of its kind is held."""
    _kept[type(model)] = model
    model.patcher.remove_callbacks_with_key(CallbacksMP.ON_DETACH, KEY)
    model.patcher.add_callback_with_key(CallbacksMP.ON_DETACH, KEY, _let_go)


def _let_go(patcher: ModelPatcher, unloaded: bool) -> None:
    if not unloaded:  # ComfyUI only takes it out of its list, and puts it in again
        return
    for kind, model in list(_kept.items()):
        if model.patcher is patcher:
            del _kept[kind]
            _hold_while_unloaded(model)


def _hold_while_unloaded(model: LoadedModel) -> None:
    """Ties the model to its entry in ComfyUI's list, which is in the middle of unloading it: one
    that went away now would leave the list by itself, and again by ComfyUI, whose worker ends."""
    for entry in model_management.current_loaded_models:
        if entry.model is model.patcher:
            entry.tokenopt_held = model
