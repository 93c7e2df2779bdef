"""Models of the experiments: exact ones that encode, render and score, fast ones for the loop.

On a CPU with matrix units the loop is twice as fast in bfloat16, with attention as plain products
and CLIP's batch norms folded into its convolutions. Results are rendered and judged in float32.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tokenopt_core import Guide, Tokenizer, load_guide, load_tokenizer
from training.evaluate import checksums
from training.grid import load_grid

from ..command import ROOT
from .pixels import PixelTokenizer

RUNS = ROOT / "training" / "runs"
COMPARATORS = ("grid", "vae")


class MissingModel(Exception):
    """A comparator that was not trained yet; the message says how to train it."""


def require(model: str) -> None:
    """Nothing; raises MissingModel when `model` is a comparator without weights."""
    if model in COMPARATORS and not (RUNS / model / "model.safetensors").is_file():
        raise MissingModel(
            f"the comparator {model!r} is not trained: "
            f"run `python -m training --only {model} --minutes 20` and start this again."
        )


@lru_cache(maxsize=8)
def tokenizer(model: str, dtype: torch.dtype = torch.float32) -> Tokenizer:
    """The frozen tokenizer "demo", "grid", "vae" or "pixels"."""
    require(model)
    if model == "pixels":
        return PixelTokenizer()
    if model == "grid":
        return load_grid(RUNS / "grid", dtype)
    return load_tokenizer("demo" if model == "demo" else RUNS / model, dtype=dtype)


@lru_cache(maxsize=2)
def guide(dtype: torch.dtype = torch.float32) -> Guide:
    """The demo CLIP; in any other type than float32 with its batch norms folded."""
    loaded = load_guide("demo")
    if dtype != torch.float32:
        fold_batch_norms(loaded.visual)
        loaded.visual.to(dtype)
    return loaded


@torch.no_grad()
def fold_batch_norms(network: nn.Module) -> None:
    """Folds every batch norm of timm's conv-norm-activation blocks into its convolution."""
    for block in network.modules():
        if isinstance(getattr(block, "bn", None), nn.BatchNorm2d) and hasattr(block, "conv"):
            block.conv = fuse_conv_bn_eval(block.conv, block.bn)
            block.bn = nn.Sequential(block.bn.drop, block.bn.act)


@lru_cache(maxsize=8)
def weights_of(model: str) -> dict[str, str]:
    """Checksums of all weights that a row on `model` depends on, as they were at the first call."""
    used = {name: value for name, value in checksums().items() if _used(name, model)}
    if model in COMPARATORS:
        require(model)
        file = RUNS / model / "model.safetensors"
        used[model] = hashlib.sha256(file.read_bytes()).hexdigest()
    return used


def _used(name: str, model: str) -> bool:
    """Whether a shipped file matters: not the demo tokenizer, where another one takes its place."""
    return model == "demo" or not name.startswith("tokenizer/")
