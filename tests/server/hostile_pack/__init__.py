"""Test nodes (V1) that do to this pack's sockets what careless or odd neighbours do."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import comfy.model_management
import numpy as np
import torch

from .calls import Calls
from .process_state import holdings, settings
from .scarce import NODE_CLASS_MAPPINGS as SCARCE


class AnyType(str):
    """A socket type that fits every other."""

    def __ne__(self, other: object) -> bool:
        return False


ANY = AnyType("*")


class Abuse:
    """Treats the weights of both models badly, under inference mode, then hands the models on."""

    HOW = ("cast", "cast and back", "evict", "train")
    CATEGORY = "hostile"
    RETURN_TYPES = ("TOKENOPT_TOKENIZER", "TOKENOPT_GUIDE")
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "tokenizer": ("TOKENOPT_TOKENIZER",),
                "guide": ("TOKENOPT_GUIDE",),
                "after": (ANY,),
                "how": (list(cls.HOW),),
            }
        }

    def run(self, tokenizer, guide, after, how):
        assert torch.is_inference_mode_enabled()
        for module in (tokenizer.module, guide.module):
            if how.startswith("cast"):
                module.to(torch.float64)
            if how == "cast and back":
                module.to(torch.float32)
            if how == "train":
                module.train().requires_grad_(True)
        if how == "evict":
            comfy.model_management.unload_all_models()
        return (tokenizer, guide)


class OddImage:
    """An image of an unusual kind."""

    KINDS = ("grey", "half", "two channels", "nan", "no batch", "out of range")
    CATEGORY = "hostile"
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",), "kind": (list(cls.KINDS),)}}

    def run(self, image, kind):
        if kind == "grey":
            return (image.mean(-1, keepdim=True),)
        if kind == "half":
            return (image.half(),)
        if kind == "two channels":
            return (image[..., :2],)
        if kind == "nan":
            return (torch.full_like(image, float("nan")),)
        if kind == "no batch":
            return (image[0],)
        return (image * 3 - 1,)


class OddMask:
    """A mask with its channel last."""

    CATEGORY = "hostile"
    RETURN_TYPES = ("MASK",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"mask": ("MASK",)}}

    def run(self, mask):
        return (mask[..., None],)


class OddLoss:
    """What a careless pack may put into a loss socket."""

    KINDS = ("one number", "no tensor", "no loss")
    CATEGORY = "hostile"
    RETURN_TYPES = ("TOKENOPT_LOSS",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"kind": (list(cls.KINDS),)}}

    def run(self, kind):
        def loss(images):
            return images.mean() if kind == "one number" else 1.0

        loss.__name__ = kind
        return (kind if kind == "no loss" else loss,)


class ComingTerms:
    """A loss whose terms are not the same in every step, and where it is off it gives none."""

    CATEGORY = "hostile"
    RETURN_TYPES = ("TOKENOPT_LOSS",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def run(self):
        return (_Terms(),)


class _Terms:
    looks = 0

    def __call__(self, images):
        return sum(self.terms(images).values())

    def terms(self, images):
        self.looks += 1
        own = images.mean((1, 2, 3))
        return {"red" if self.looks == 1 else "blue": own, "always": own}


class Number:
    """What a link can carry to a widget, whatever the widget is for."""

    KINDS = {
        "int": int,
        "float": float,
        "str": str,
        "Fraction": Fraction,
        "numpy.int64": np.int64,
        "numpy.uint64": np.uint64,
        "numpy.float32": np.float32,
        "numpy.bool": lambda text: np.bool_(text == "True"),
    }
    CATEGORY = "hostile"
    RETURN_TYPES = (ANY,)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING",), "kind": (list(cls.KINDS),)}}

    def run(self, text, kind):
        return (self.KINDS[kind](text),)


class Digest:
    """A fingerprint of a tensor or of tokens, or the identity of a model, as ui text."""

    CATEGORY = "hostile"
    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": (ANY,), "nonce": ("INT", {"default": 0})}}

    def run(self, value, nonce):
        if hasattr(value, "module"):
            return {"ui": {"digest": [str(id(value.module))]}}
        if isinstance(value, str):
            return {"ui": {"digest": [value]}}
        tensor = value if isinstance(value, torch.Tensor) else getattr(value, "values", None)
        if tensor is None:
            return {"ui": {"digest": [type(value).__name__]}}
        content = tensor.contiguous().numpy().tobytes()
        shape = list(tensor.shape)
        return {"ui": {"digest": [hashlib.sha256(content).hexdigest()], "shape": shape}}


class Process:
    """What the server's process keeps and holds, as ui text; runs anew for each nonce."""

    CATEGORY = "hostile"
    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"nonce": ("INT", {"default": 0})}}

    def run(self, nonce):
        return {"ui": {"settings": [settings()], "holdings": [holdings()]}}


NODE_CLASS_MAPPINGS = {
    **SCARCE,
    "Hostile_Process": Process,
    "Hostile_Abuse": Abuse,
    "Hostile_Calls": Calls,
    "Hostile_OddImage": OddImage,
    "Hostile_OddMask": OddMask,
    "Hostile_OddLoss": OddLoss,
    "Hostile_ComingTerms": ComingTerms,
    "Hostile_Number": Number,
    "Hostile_Digest": Digest,
}
