"""Models with random weights: of the released sizes, or small ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tokenopt_core import (
    Generator,
    Guide,
    Tokenizer,
    TokenizerSpec,
    generators,
    load_guide,
    load_tokenizer,
)
from tokenopt_core.generators import build_generator
from tokenopt_core.guides.prompt_tokenizer import PromptTokenizer
from tokenopt_core.tokenizers import PixelStage, ViTSize, build_tokenizer
from tokenopt_core.tokenizers.registry import RELEASES

SEED = 1
POOL = 1_000_003  # random numbers that all weights share: drawing a billion takes longer than a run
SPREAD = 0.1  # of biases, and of norms' weights around 1


class ModelSet(NamedTuple):
    """Names of models that are measured together; the guide sees what the tokenizer decodes."""

    tokenizer: str
    guide: str
    vqgan: str = "maskgit-vqgan"

    def on(self, device: torch.device) -> tuple[Tokenizer, Guide]:
        """The tokenizer and the guide."""
        if self == DEMO:
            return load_tokenizer("demo", device=device), load_guide("demo", device=device)
        return tokenizer(self.tokenizer, device), guide(self.guide, device)


DEMO = ModelSet("demo", "demo")
FULL = ModelSet("titok-l32", "ViT-B-32")
SMALL = ModelSet("small-two-stage", "small-clip", "small-maskgit-vqgan")
EVERY_SMALL = (
    DEMO,
    SMALL,
    ModelSet("small-vq-l2", "small-clip"),
    ModelSet("small-vq", "small-siglip"),
    ModelSet("small-vae", "small-siglip"),
    ModelSet("small-maskgit-vqgan", "small-clip"),
    ModelSet("small-tatitok", "small-siglip"),
)
EVERY_FULL = (
    FULL,
    ModelSet("maskgit-vqgan", "ViT-B-32"),
    ModelSet("titok-bl64-vq8k", "ViT-B-16-SigLIP"),
    ModelSet("titok-bl64-vae", "ViT-B-16-SigLIP"),
    ModelSet("tatitok-bl32-vq", "ViT-B-16-SigLIP"),
)


def _small_specs() -> Iterator[TokenizerSpec]:
    """A small tokenizer of every kind."""
    size = ViTSize(width=128, layers=2, heads=2)
    vq = TokenizerSpec(
        name="small-vq-l2",
        image_size=32,
        num_tokens=8,
        token_size=12,
        codebook_size=512,
        l2_normalized=True,
        encoder=size,
        decoder=size,
        encoder_patch=8,
        decoder_patch=8,
    )
    stage = PixelStage(
        hidden_channels=32, channel_mult=(1, 1, 2, 2), z_channels=32, num_embeddings=64
    )
    yield vq
    yield replace(vq, name="small-vq", l2_normalized=False)
    yield replace(vq, name="small-vae", kind="vae", codebook_size=None, l2_normalized=False)
    yield replace(vq, name="small-two-stage", legacy=True, pixel_stage=stage)
    yield replace(vq, name="small-tatitok", layout="tatitok", text_length=7, text_size=48)
    yield TokenizerSpec(
        name="small-maskgit-vqgan",
        layout="maskgit-vqgan",
        image_size=32,
        num_tokens=16,
        token_size=32,
        codebook_size=64,
        pixel_stage=stage,
    )


SPECS = {spec.name: spec for spec in _small_specs()}
SPECS |= {name: release.spec for name, release in RELEASES.items()}

SMALL_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
SMALL_CLIP = {
    "embed_dim": 64,
    "vision_cfg": {
        "image_size": 48,
        "layers": 2,
        "width": 128,
        "head_width": 64,
        "patch_size": 16,
    },
    "text_cfg": SMALL_TEXT,
}
SMALL_GUIDES = {"small-clip": SMALL_CLIP, "small-siglip": SMALL_CLIP | {"init_logit_bias": -10.0}}


@lru_cache(maxsize=2)
def tokenizer(name: str, device: torch.device) -> Tokenizer:
    """A frozen tokenizer with the architecture of a release, or a small one of `SPECS`."""
    with torch.device("meta"):
        module = build_tokenizer(SPECS[name])
    return _filled(module).to(device)


@lru_cache(maxsize=1)
def generator(name: str, device: torch.device) -> Generator:
    """A frozen generator with the network of a release."""
    with torch.device("meta"):
        module = build_generator(generators.RELEASES[name].spec)
    return _filled(module).to(device)


@lru_cache(maxsize=2)
def guide(name: str, device: torch.device) -> Guide:
    """A frozen guide with the image tower of that name, of open_clip or of `SMALL_GUIDES`.

    Its prompts mean nothing. A text tower whose words would have to be downloaded has a small one
    in its place, with the words that open_clip brings along.
    """
    import open_clip  # here, because it takes seconds, which a check without guides need not wait
    from open_clip.model import CLIP, CustomTextCLIP
    from open_clip.tokenizer import SimpleTokenizer
    from open_clip.transform import PreprocessCfg

    config = dict(SMALL_GUIDES.get(name) or open_clip.get_model_config(name))
    if "hf_tokenizer_name" in config["text_cfg"]:
        config["text_cfg"] = SMALL_TEXT
    kind = CustomTextCLIP if config.pop("custom_text", False) else CLIP
    model = _filled(kind(**config))
    model.visual.preprocess_cfg = asdict(PreprocessCfg(size=config["vision_cfg"]["image_size"]))
    return Guide(name, model, PromptTokenizer(SimpleTokenizer())).to(device)


def _filled(module: nn.Module) -> nn.Module:
    """The module with uniform weights of the size that keeps values alive through the layers."""
    if next(module.parameters()).is_meta:
        module = module.to_empty(device="cpu")
    module = module.requires_grad_(False).eval()
    pool = 2 * torch.rand(POOL, generator=torch.Generator().manual_seed(SEED)) - 1
    for owner in module.modules():
        norm = isinstance(owner, nn.LayerNorm | nn.GroupNorm | nn.BatchNorm2d)
        for name, tensor in owner.named_parameters(recurse=False):
            bias = name.endswith("bias")
            if bias or norm:
                _spread(tensor, pool, SPREAD)
            else:
                _spread(tensor, pool, math.sqrt(3 / (tensor[0].numel() if tensor.ndim else 1)))
            if norm and not bias:
                tensor += 1
        for tensor in owner.buffers(recurse=False):
            tensor.fill_(0)
    return module


def _spread(tensor: Tensor, pool: Tensor, bound: float) -> None:
    """Fills it with the pool's numbers, again and again, times `bound`."""
    for part in tensor.view(-1).split(POOL):
        torch.mul(pool[: len(part)], bound, out=part)
