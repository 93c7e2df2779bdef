"""Edit and generate images by moving the few tokens of a 1D image tokenizer.

TiTok (arXiv 2406.07550) holds an image in 32 tokens; "Highly Compressed Tokenizer Can Generate
Without Training" (arXiv 2506.08257) edits it by gradient descent on them. This package is plain
PyTorch: tokenizers, losses, the optimization loop, and a small demo world.
"""

from .clip_loss import ClipLoss
from .config import OptimizeConfig, Step
from .guides import Guide, load_guide
from .losses import Loss, MaskedL1Loss, WeightedSum
from .optimize import optimize, render
from .tokenizers import (
    Posterior,
    Quantized,
    Tokenizer,
    TokenizerSpec,
    known_tokenizers,
    load_tokenizer,
    save_tokenizer,
)

__all__ = [
    "ClipLoss",
    "Guide",
    "Loss",
    "MaskedL1Loss",
    "OptimizeConfig",
    "Posterior",
    "Quantized",
    "Step",
    "Tokenizer",
    "TokenizerSpec",
    "WeightedSum",
    "known_tokenizers",
    "load_guide",
    "load_tokenizer",
    "optimize",
    "render",
    "save_tokenizer",
]
