"""Full-size models with random weights: as heavy as the released ones, made in seconds."""

from __future__ import annotations

import math
from functools import lru_cache

import open_clip
import torch
from torch import nn

from tokenopt_core import Guide, Tokenizer
from tokenopt_core.prompt_tokenizer import PromptTokenizer
from tokenopt_core.tokenizers import build_tokenizer
from tokenopt_core.tokenizers.registry import RELEASES

SEED = 1
POOL = 1_000_003  # random numbers that all weights share: drawing a billion takes longer than a run


@lru_cache(maxsize=2)
def tokenizer(name: str, device: torch.device) -> Tokenizer:
    """A frozen tokenizer with the architecture of a release."""
    with torch.device("meta"):
        module = build_tokenizer(RELEASES[name].spec)
    return _filled(module).to(device)


@lru_cache(maxsize=1)
def guide(name: str, device: torch.device) -> Guide:
    """A frozen guide with the image tower of that name; its prompts mean nothing."""
    model = _filled(open_clip.create_model(name, pretrained=None))
    return Guide(name, model, PromptTokenizer(open_clip.get_tokenizer(name))).to(device)


def _filled(module: nn.Module) -> nn.Module:
    """The module with uniform weights of the size that keeps values alive through the layers."""
    if next(module.parameters()).is_meta:
        module = module.to_empty(device="cpu")
    module = module.requires_grad_(False).eval()
    pool = 2 * torch.rand(POOL, generator=torch.Generator().manual_seed(SEED)) - 1
    for owner in module.modules():
        norm = isinstance(owner, nn.LayerNorm | nn.GroupNorm | nn.BatchNorm2d)
        for name, tensor in owner.named_parameters(recurse=False):
            if name.endswith("bias"):
                tensor.zero_()
            elif norm:
                tensor.fill_(1)
            else:
                bound = math.sqrt(3 / (tensor[0].numel() if tensor.ndim else 1))
                for part in tensor.view(-1).split(POOL):
                    torch.mul(pool[: len(part)], bound, out=part)
        for tensor in owner.buffers(recurse=False):
            tensor.fill_(0)
    return module
