"""A device with room for so many images, and losses that spoil weights in the middle of a run."""

from __future__ import annotations

import copy
from dataclasses import replace

import comfy.model_management
import torch
from comfy.model_patcher import ModelPatcher

MODELS = {
    "required": {
        "tokenizer": ("TOKENOPT_TOKENIZER",),
        "guide": ("TOKENOPT_GUIDE",),
    }
}


class ScarceMemory:
    """Both models, as if on a device that runs out of memory with more than so many at once.

    `images`: room for encoding, `tokens`: for decoding, `pictures`: for the guide; 0 is none.
    """

    CATEGORY = "hostile"
    RETURN_TYPES = ("TOKENOPT_TOKENIZER", "TOKENOPT_GUIDE")
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        rooms = {name: ("INT", {"default": 1}) for name in ("images", "tokens", "pictures")}
        return {"required": {**MODELS["required"], **rooms}}

    def run(self, tokenizer, guide, images, tokens, pictures):
        return (
            _limited(tokenizer, encode=images, decode=tokens),
            _limited(guide, encode_image=pictures),
        )


def _limited(loaded, **rooms):
    """The model with its weights shared; these methods take so many rows at most, in copies too."""
    twin, kind = copy.copy(loaded.module), type(loaded.module)
    methods = {name: _with_room(getattr(kind, name), room) for name, room in rooms.items()}
    twin.__class__ = type(kind.__name__, (kind,), methods)
    if hasattr(twin, "_lowered"):  # a guide's copies: shared, they would be the whole one's too
        twin._lowered = type(twin._lowered)()
    patcher = loaded.patcher
    return replace(loaded, patcher=ModelPatcher(twin, patcher.load_device, patcher.offload_device))


def _with_room(method, room):
    def limited(self, rows, *more, **named):
        if len(rows) > room:
            raise torch.OutOfMemoryError(
                f"CUDA out of memory. Tried to allocate {len(rows)}.00 GiB. (a test)"
            )
        return method(self, rows, *more, **named)

    return limited


class SpoilingLoss:
    """A loss that does something to the models in its fourth look, as one that loads a model of its
    own may: another one is moved, by ComfyUI or by itself, under inference mode."""

    HOW = ("nothing", "cast", "evict", "train")
    CATEGORY = "hostile"
    RETURN_TYPES = ("TOKENOPT_LOSS",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {**MODELS["required"], "how": (list(cls.HOW),)}}

    def run(self, tokenizer, guide, how):
        looks = []

        def loss(images):
            looks.append(1)
            if len(looks) == 4:
                with torch.inference_mode():
                    _spoil((tokenizer.module, guide.module), how)
            return 0 * images.mean((1, 2, 3))

        return (loss,)


def _spoil(modules, how):
    if how == "evict":
        comfy.model_management.unload_all_models()
    for module in modules:
        if how == "cast":
            module.to(torch.float64)
        if how == "train":
            module.train().requires_grad_(True)


NODE_CLASS_MAPPINGS = {
    "Hostile_ScarceMemory": ScarceMemory,
    "Hostile_SpoilingLoss": SpoilingLoss,
}
