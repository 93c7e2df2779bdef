"""The nodes of released versions, with the inputs and outputs that saved workflows hold.

A node that is not here is unreleased: it may still change, and needs neither translations nor a
help picture nor a line in docs/nodes.md. `unreleased` is empty before a version is published.
"""

from __future__ import annotations

import re
from pathlib import Path

NODE_ID = re.compile(r'node_id="(\w+)"')

# Node id -> name, inputs, output types. Ids and input names never change: the saved workflows of
# users hold them.
CONTRACT = {
    "TokenOpt_LoadTokenizer": ("Load TiTok", "tokenizer", "TOKENOPT_TOKENIZER"),
    "TokenOpt_LoadGuide": ("Load CLIP Guide", "model", "TOKENOPT_GUIDE"),
    "TokenOpt_LoadCaptionEncoder": (
        "Load Caption Encoder",
        "model download activation",
        "TOKENOPT_CAPTION_ENCODER",
    ),
    "TokenOpt_EasyTextEdit": (
        "Easy Text Edit",
        "image prompt models steps tries seed fit tokenizer guide",
        "IMAGE STRING",
    ),
    "TokenOpt_EasyInpaint": (
        "Easy Inpaint",
        "image mask prompt models steps tries seed margin tokenizer guide",
        "IMAGE STRING",
    ),
    "TokenOpt_FitImage": (
        "Fit Image",
        "tokenizer image mode position fill around_mask margin mask",
        "IMAGE MASK TOKENOPT_FIT",
    ),
    "TokenOpt_PasteBack": ("Paste Back", "image fit original soft_edge mask", "IMAGE"),
    "TokenOpt_Encode": ("TiTok Encode", "tokenizer image", "TOKENOPT_TOKENS"),
    "TokenOpt_Quantize": ("TiTok Quantize", "tokenizer tokens", "TOKENOPT_TOKENS STRING"),
    "TokenOpt_Decode": ("TiTok Decode", "tokenizer tokens", "IMAGE"),
    "TokenOpt_Caption": ("Caption", "caption_encoder text", "TOKENOPT_CAPTION"),
    "TokenOpt_RandomTokens": ("Random Tokens", "tokenizer seed batch_size", "TOKENOPT_TOKENS"),
    "TokenOpt_DemoScene": (
        "Demo Scene",
        "seed batch_size shape colour size position background pattern light focus",
        "IMAGE STRING",
    ),
    "TokenOpt_Copy": ("Token Copy", "target reference positions", "TOKENOPT_TOKENS"),
    "TokenOpt_ClipLoss": (
        "CLIP Loss",
        "guide prompt negative_prompt random_crops crops weight",
        "TOKENOPT_LOSS",
    ),
    "TokenOpt_ImagePromptLoss": (
        "Image Prompt Loss",
        "guide image random_crops crops weight",
        "TOKENOPT_LOSS",
    ),
    "TokenOpt_MaskedL1Loss": ("L1 Masked Loss", "image mask weight feather norm", "TOKENOPT_LOSS"),
    "TokenOpt_MaskedComposite": ("Masked Composite", "loss image mask feather", "TOKENOPT_LOSS"),
    "TokenOpt_PixelPenalty": ("Pixel Penalty", "total_variation range", "TOKENOPT_LOSS"),
    "TokenOpt_CombineLosses": (
        "Combine Losses",
        "loss_a loss_b weight_a weight_b",
        "TOKENOPT_LOSS",
    ),
    "TokenOpt_Sweep": (
        "Sweep",
        "tokenizer tokens loss setting_1 values_1 setting_2 values_2 steps lr seed quantize "
        "ema_decay noise_scale regularize reg_weight reset_every keep options",
        "IMAGE IMAGE STRING",
    ),
    "TokenOpt_Optimize": (
        "Token Optimizer",
        "tokenizer tokens loss steps lr seed quantize ema ema_decay token_noise noise_scale "
        "regularize reg_weight reset_every preview_every",
        "IMAGE TOKENOPT_TOKENS IMAGE IMAGE STRING STRING",
    ),
    "TokenOpt_OptimizeOptions": (
        "Token Optimizer Options",
        "lr_schedule warmup max_grad_norm locked patience min_gain target seconds precision clamp "
        "warm_restart trajectory_frames",
        "TOKENOPT_OPTIONS",
    ),
    "TokenOpt_Judge": ("Judge", "image guide prompt judge before", "STRING"),
    "TokenOpt_SaveImage": ("Save Image with Record", "images record filename_prefix", ""),
    "TokenOpt_Blend": (
        "Token Blend",
        "tokenizer target reference positions strength steps quantize",
        "TOKENOPT_TOKENS",
    ),
    "TokenOpt_Set": ("Token Set", "tokenizer tokens codes", "TOKENOPT_TOKENS"),
    "TokenOpt_TokensToText": ("Tokens to Text", "tokenizer tokens", "STRING"),
    "TokenOpt_TextToTokens": ("Text to Tokens", "tokenizer text", "TOKENOPT_TOKENS"),
    "TokenOpt_SaveTokens": ("Save Tokens", "tokenizer tokens filename_prefix", ""),
    "TokenOpt_LoadTokens": ("Load Tokens", "tokenizer file", "TOKENOPT_TOKENS"),
    "TokenOpt_SavedImageTokens": (
        "Tokens of a Saved Image",
        "tokenizer image",
        "TOKENOPT_TOKENS STRING",
    ),
    "TokenOpt_PerturbSearch": (
        "Token Perturb Search",
        "tokenizer tokens positions search share direction top_k loss mask",
        "IMAGE TOKENOPT_TOKENS STRING STRING IMAGE",
    ),
    "TokenOpt_AttributeVector": (
        "Attribute Vector",
        "tokenizer tokens_with tokens_without positions strongest name_with name_without",
        "TOKENOPT_ATTRIBUTE STRING STRING",
    ),
    "TokenOpt_ApplyAttribute": (
        "Apply Attribute",
        "tokens attribute strength positions strengths",
        "TOKENOPT_TOKENS",
    ),
    "TokenOpt_SaveAttribute": ("Save Attribute", "attribute filename_prefix", ""),
    "TokenOpt_LoadAttribute": ("Load Attribute", "tokenizer file", "TOKENOPT_ATTRIBUTE"),
    "TokenOpt_PositionPreset": ("Position Preset", "tokenizer preset", "STRING"),
    "TokenOpt_Inspect": (
        "Token Inspector",
        "tokenizer tokens edits positions",
        "TOKENOPT_TOKENS STRING IMAGE",
    ),
    "TokenOpt_Importance": (
        "Token Importance",
        "tokenizer guide prompts image folder best effect effect_images seed",
        "IMAGE STRING STRING",
    ),
    "TokenOpt_PixelInfluence": (
        "Pixel Influence",
        "tokenizer tokens samples seed",
        "IMAGE IMAGE MASK",
    ),
    "TokenOpt_SeedRetrieval": (
        "Seed Retrieval",
        "guide prompts choose image folder percent seed size",
        "IMAGE STRING STRING",
    ),
}


def unreleased(root: Path) -> list[str]:
    """The ids of the nodes in `root`/nodes that no released version has."""
    sources = [path.read_text(encoding="utf-8") for path in sorted((root / "nodes").rglob("*.py"))]
    return [name for text in sources for name in NODE_ID.findall(text) if name not in CONTRACT]
