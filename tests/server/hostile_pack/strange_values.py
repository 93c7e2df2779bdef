"""Values that fit a socket by its type, or come out of JSON, and that nobody would want."""

from __future__ import annotations

import dataclasses
import math

import torch


def strange_texts() -> dict[str, object]:
    return {
        "empty": "",
        "blank": " \n\t ",
        "10,000 characters": "a red star " * 1000,
        "emoji": "🟥⭐" * 20,
        "control": "\x00\x01\x1b[31m\u202e",
        "half a character": "\ud800",
        "a path": "../../../etc/passwd",
        "null": None,
        "number": 3,
        "list": ["a"],
        "object": {"a": 1},
        "digits": "9" * 5000,
        "range": "0-99999999999",
        "many": "0," * 50_000,
        "json": "[" * 50_000,
    }


def strange_numbers() -> dict[str, object]:
    values = (math.nan, math.inf, -math.inf, 10**30, -1, 0, 0.5, "1", "x", None, [1], True)
    return {repr(value): value for value in values} | {"tensor": torch.ones(1)}


def strange_images(image: torch.Tensor) -> dict[str, object]:
    """IMAGE (b, h, w, c)"""
    rand = torch.rand
    found = {
        "1x1": rand(1, 1, 1, 3),
        "1x999": rand(1, 1, 999, 3),
        "odd": rand(1, 63, 65, 3),
        "grey": rand(1, 8, 8, 1),
        "RGBA": rand(1, 8, 8, 4),
        "five channels": rand(1, 8, 8, 5),
        "channels first": rand(1, 3, 8, 8),
        "no pixels": rand(1, 0, 8, 3),
        "empty batch": rand(0, 8, 8, 3),
        "no batch": rand(8, 8, 3),
        "five axes": rand(1, 1, 8, 8, 3),
        "NaN": rand(1, 8, 8, 3).fill_(math.nan),
        "one NaN": image.clone().index_fill_(1, torch.tensor([0]), math.nan),
        "inf": rand(1, 8, 8, 3) * math.inf,
        "out of range": rand(1, 8, 8, 3) * 1e30 - 5e29,
        "half": rand(1, 8, 8, 3).half(),
        "bfloat16": rand(1, 8, 8, 3).bfloat16(),
        "double": rand(1, 8, 8, 3).double(),
        "bytes": torch.full((1, 8, 8, 3), 255, dtype=torch.uint8),
        "bool": torch.ones(1, 8, 8, 3, dtype=torch.bool),
        "complex": torch.ones(1, 8, 8, 3, dtype=torch.complex64),
        "meta": torch.ones(1, 8, 8, 3, device="meta"),
        "sparse": torch.ones(1, 8, 8, 3).to_sparse(),
        "expanded": rand(1, 1, 1, 3).expand(2, 40, 30, 3),
        "batch of 3": rand(3, 16, 16, 3),
        "list": [rand(1, 8, 8, 3)],
        "array": rand(1, 8, 8, 3).numpy(),
        "text": "image",
        "null": None,
    }
    with torch.inference_mode(False):
        found["with gradient"] = rand(1, 8, 8, 3).requires_grad_(True)
    return found


def strange_masks() -> dict[str, object]:
    rand = torch.rand
    return {
        "1x1": rand(1, 1, 1),
        "two axes": rand(8, 8),
        "channel first": rand(1, 1, 8, 8),
        "channel last": rand(1, 8, 8, 1),
        "ones": torch.ones(1, 8, 8),
        "zeros": torch.zeros(1, 8, 8),
        "NaN": rand(1, 8, 8) * math.nan,
        "inf": rand(1, 8, 8) * math.inf,
        "out of range": rand(1, 8, 8) * 100 - 50,
        "empty batch": rand(0, 8, 8),
        "no pixels": rand(1, 8, 0),
        "half": rand(1, 8, 8).half(),
        "bool": torch.ones(1, 8, 8, dtype=torch.bool),
        "meta": torch.ones(1, 8, 8, device="meta"),
        "batch of 5": rand(5, 8, 8),
        "one axis": rand(8),
        "null": None,
        "text": "mask",
    }


def strange_tokens(tokens) -> dict[str, object]:
    values = tokens.values
    new = {
        "wrong length": values[:, :-1],
        "wrong size": values[..., :-1],
        "two axes": values[0],
        "empty batch": values[:0],
        "batch of 5": values[:1].repeat(5, 1, 1),
        "NaN": values * math.nan,
        "inf": values * math.inf,
        "huge": values * 1e30,
        "zero": values * 0,
        "half": values.half(),
        "double": values.double(),
        "packed": values.to(torch.float8_e4m3fn),
        "integers": values.long(),
        "meta": values.to("meta"),
        "inference": values.clone(),
        "null": None,
        "list": values.tolist(),
    }
    found = {name: dataclasses.replace(tokens, values=value) for name, value in new.items()}
    found["another tokenizer"] = dataclasses.replace(tokens, tokenizer="other")
    found["quantized"] = dataclasses.replace(tokens, quantized=not tokens.quantized)
    found["odd state"] = dataclasses.replace(tokens, state="state")
    return found | _objects(values)


def strange_captions(caption) -> dict[str, object]:
    guidance = caption.guidance
    new = {
        "too long": guidance.repeat(1, 2, 1),
        "two": guidance.repeat(2, 1, 1),
        "two axes": guidance[0],
        "NaN": guidance * math.nan,
        "huge": guidance * 1e30,
        "half": guidance.half(),
        "inference": guidance.clone(),
        "meta": guidance.to("meta"),
        "list": guidance.tolist(),
    }
    found = {name: dataclasses.replace(caption, guidance=value) for name, value in new.items()}
    return found | _objects(guidance)


def _objects(tensor: torch.Tensor) -> dict[str, object]:
    """What no socket of this pack carries."""
    return {"a tensor": tensor, "a text": "x", "nothing": None, "a number": 3, "a list": []}


def strange_losses(loss) -> dict[str, object]:
    def nan(images):
        return images.mean((1, 2, 3)) * math.nan

    def alone(images):
        return images.mean()

    def detached(images):
        return images.detach().mean((1, 2, 3))

    def constant(images):
        return torch.zeros(len(images))

    def failing(images):
        raise RuntimeError("the neighbour's own error")

    def wide(images):
        return images

    def inplace(images):
        return images.mul_(0).mean((1, 2, 3))

    made = (nan, alone, detached, constant, failing, wide, inplace)
    found = {f"loss {each.__name__}": each for each in made}
    return found | _objects(torch.zeros(1)) | {"list of losses": [loss]}


def strange(kind: str, good: object) -> dict[str, object]:
    """Values for an input of this type, by what to call them."""
    if kind in ("INT", "FLOAT"):
        return strange_numbers()
    if kind == "BOOLEAN":
        return {"text": "x", "null": None, "2": 2, "NaN": math.nan, "list": []}
    if kind in ("STRING", "COMBO"):
        return strange_texts()
    if kind == "IMAGE":
        return strange_images(good)
    if kind == "MASK":
        return strange_masks()
    if kind == "TOKENOPT_TOKENS":
        return strange_tokens(good)
    if kind == "TOKENOPT_LOSS":
        return strange_losses(good)
    if kind == "TOKENOPT_CAPTION" and good is not None:
        return strange_captions(good)
    return _objects(torch.zeros(1))
