"""What a neighbour may hand to every input of this pack's nodes, tried inside the server.

A call that succeeds is as good as one that is refused in one clear sentence; the test looks at what
came back. One node makes all calls of a kind, because a prompt for each would take minutes.
"""

from __future__ import annotations

import dataclasses
import json
import time

import torch

import nodes as comfyui

from .strange_values import strange

SHORT = {"steps": 1, "iterations": 1, "batch_size": 1, "top_k": 1, "effect_images": 1, "samples": 1}
SHORT |= {"crops": 1, "preview_every": 0, "trajectory_frames": 0, "tries": 1, "best_of": 1}
SHORT |= {"share": 0.001}
TEXT = {"prompt": "a red star", "positions": "0", "codes": "1: 2", "setting_1": "lr"}
TEXT |= {"values_1": "0.1", "setting_2": "none", "values_2": "", "filename_prefix": "hostile/call"}
OWN = {"TokenOpt_LoadCaptionEncoder": {"model": "captions"}}  # its default is a download


def good_inputs(node, given: dict[str, object]) -> dict[str, object]:
    """The inputs of a node as a user drops it, with everything connected that fits, and short."""
    found, schema = {}, node.define_schema()
    for widget in schema.inputs:
        kind = widget.get_io_type()
        options = getattr(widget, "options", None) or [None]
        default = getattr(widget, "default", None)
        default = options[0] if default is None and kind == "COMBO" else default
        if kind in given and not (kind == "MASK" and widget.optional):
            found[widget.id] = given[kind]
            if widget.id == "tokens_without":
                found[widget.id] = dataclasses.replace(given[kind], values=-given[kind].values)
        elif not widget.optional or default is not None:
            found[widget.id] = SHORT.get(widget.id, TEXT.get(widget.id, default))
    return found | OWN.get(schema.node_id, {})


def finite(values: object) -> bool:
    """Whether all tensors of an output are numbers."""
    if isinstance(values, torch.Tensor):
        return not values.is_floating_point() or bool(values.isfinite().all())
    return not hasattr(values, "values") or callable(values.values) or finite(values.values)


class Calls:
    """Calls every node with every strange value of some types; tells each call that went wrong."""

    CATEGORY = "hostile"
    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        sockets = ("TOKENOPT_TOKENIZER", "TOKENOPT_GUIDE", "IMAGE", "TOKENOPT_TOKENS")
        sockets += ("TOKENOPT_LOSS", "MASK", "TOKENOPT_ATTRIBUTE", "TOKENOPT_FIT")
        sockets += ("TOKENOPT_CAPTION_ENCODER",)
        texts = {"kinds": ("STRING",), "every": ("INT",), "texts": ("STRING",)}
        optional = {"TOKENOPT_CAPTION": ("TOKENOPT_CAPTION",)}
        required = texts | {socket: (socket,) for socket in sockets}
        return {"required": required, "optional": optional}

    def run(self, kinds, every, texts, **given):
        calls = []
        for name, node in sorted(comfyui.NODE_CLASS_MAPPINGS.items()):
            if not name.startswith("TokenOpt_"):
                continue
            good = good_inputs(node, given)
            calls.append((name, node, good, "", "as it is", None))
            for widget in node.define_schema().inputs:
                kind = widget.get_io_type()
                if kinds and kind not in kinds.split(","):
                    continue
                for case, value in self._values(kind, texts, given):
                    calls.append((name, node, good, widget.id, case, value))
        told = [self._call(*call) for call in calls[:: max(1, every)]]
        return {"ui": {"calls": [json.dumps(told)]}}

    @staticmethod
    def _values(kind, texts, given):
        """Case and value for an input of this type; `texts` (JSON) are those to try of texts."""
        own = json.loads(texts) if texts else {}
        return (own if own else strange(kind, given.get(kind))).items()

    @staticmethod
    def _call(name, node, good, key, case, value):
        started = time.monotonic()
        try:
            made = node.PREPARE_CLASS_CLONE({}).execute(**good | ({key: value} if key else {}))
            result = made.result if hasattr(made, "result") else made
            error, message = "", "" if all(map(finite, result or ())) else "not finite"
        except Exception as failure:
            error, message = type(failure).__name__, str(failure)
        seconds = round(time.monotonic() - started, 2)
        return [name, key, case, error, message[:2000], seconds]
