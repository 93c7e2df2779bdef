"""Models on their device: outside of inference mode, with weights that are fit for gradients.

ComfyUI executes every node under `torch.inference_mode()`. Whatever is created there, weights moved
to another device or type included, can never take part in a backward pass. Two rules follow. All
that this pack computes with is loaded, moved and copied inside `gradient_scope`. And because other
nodes may have moved our weights in the meantime (each eviction is such a move), the scope looks at
every weight when it opens and replaces the ones that are unfit.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from ...tokenopt_core.compute.memory import is_out_of_memory
from .compat import CallbacksMP, ModelPatcher, model_management
from .sockets import LoadedGuide, LoadedModel

log = logging.getLogger(__name__)

GUIDE_BYTES = 640  # of a pixel that a guide sees: 40 with ViT-B-32, 633 with SO400M-14-SigLIP-384
KEY = "tokenopt"

_kept: dict[type[LoadedModel], LoadedModel] = {}


@contextmanager
def gradient_scope(
    *models: LoadedModel, memory: int = 0, resident: bool = True
) -> Iterator[torch.device]:
    """The device on which all `models` are loaded, whole, with normal tensors as weights.

    Args:
        memory: bytes that the computation will need besides the weights.
        resident: False takes the models off the device, for work that brings copies of its own:
            see `optimize(device=...)`.

    Raises:
        RuntimeError: another node spoiled the weights while they were in use.
    """
    with torch.inference_mode(False):
        patchers = [model.patcher for model in dict.fromkeys(models)]
        device = patchers[0].load_device
        if resident:
            model_management.load_models_gpu(patchers, memory_required=memory, force_full_load=True)
        else:
            loaded = model_management.current_loaded_models
            others = [each for each in loaded if each.model not in patchers]
            model_management.free_memory(1e30, device, keep_loaded=others)
        for model in models:
            restore_weights(model.module, _place(model, resident), model.dtypes)
        try:
            yield device
        except RuntimeError as error:
            changed = [model.name for model in models if not _whole(model, resident)]
            if not changed or is_out_of_memory(error):
                raise
            raise RuntimeError(
                f"the weights of {changed[0]!r} were moved or changed by another node while this "
                "one computed with them; run it again without the losses of other packs, or tell "
                "their makers."
            ) from error


def _place(model: LoadedModel, resident: bool) -> torch.device:
    return model.patcher.load_device if resident else model.patcher.offload_device


def _whole(model: LoadedModel, resident: bool) -> bool:
    """Whether all weights are as `restore_weights` leaves them."""
    module, device, dtypes = model.module, _place(model, resident), model.dtypes
    named = itertools.chain(module.named_parameters(), module.named_buffers())
    return all(_fit(tensor, device, dtypes.get(key, tensor.dtype)) for key, tensor in named)


def restore_weights(
    module: nn.Module, device: torch.device, dtypes: Mapping[str, torch.dtype]
) -> int:
    """How many parameters and buffers had to be replaced to be normal tensors of their own type on
    `device`. Call it with inference mode off."""
    replaced: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # by id; the old one stays alive
    for path, owner in module.named_modules():
        for name, tensor in [*owner._parameters.items(), *owner._buffers.items()]:
            key = f"{path}.{name}" if path else name
            if tensor is None or _fit(tensor, device, dtypes.get(key, tensor.dtype)):
                continue
            if id(tensor) not in replaced:
                copy = _replacement(tensor, device, dtypes.get(key, tensor.dtype))
                replaced[id(tensor)] = (tensor, copy)
            setattr(owner, name, replaced[id(tensor)][1])
    if replaced:
        log.debug("%s: %d weights restored", type(module).__name__, len(replaced))
    module.requires_grad_(False).eval()
    return len(replaced)


def _fit(tensor: torch.Tensor, device: torch.device, dtype: torch.dtype) -> bool:
    same_place = tensor.device.type == device.type and device.index in (None, tensor.device.index)
    return same_place and tensor.dtype == dtype and not tensor.is_inference()


def _replacement(tensor: torch.Tensor, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """A normal copy of `tensor`; a parameter stays one."""
    if tensor.is_floating_point() and torch.finfo(tensor.dtype).bits < torch.finfo(dtype).bits:
        log.warning(
            "Another node reduced the precision of TokenOpt weights from %s to %s; reload the "
            "models (Manager: Unload Models, free memory) to get it back.",
            dtype,
            tensor.dtype,
        )
    copy = tensor.detach().to(device=device, dtype=dtype, copy=True)
    return nn.Parameter(copy, requires_grad=False) if isinstance(tensor, nn.Parameter) else copy


def activation_bytes(image_size: int, batch: int, *, gradients: bool) -> int:
    """Bytes that one pass over `batch` images needs besides weights; estimated for TiTok-L-32 with
    ViT-B-32 and 8 crops: about 24 KiB a pixel with gradients, 4 KiB without."""
    per_pixel = 24 * 1024 if gradients else 4 * 1024
    return batch * image_size**2 * per_pixel


def guide_bytes(guide: LoadedGuide, batch: int) -> int:
    """Bytes that a guide needs besides its weights for so many images at once, without
    gradients."""
    return batch * guide.module.image_size**2 * GUIDE_BYTES


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
