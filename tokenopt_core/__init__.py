"""Edit and generate images by moving the few tokens of a 1D image tokenizer.

TiTok (arXiv 2406.07550) holds an image in 32 tokens; "Highly Compressed Tokenizer Can Generate
Without Training" (arXiv 2506.08257) edits it by gradient descent on them. This package is plain
PyTorch: tokenizers, losses, the optimization loop, and a small demo world.
"""

from .clip_loss import ClipImageLoss, ClipLoss
from .config import OptimizeConfig, Step
from .guides import Guide, load_guide
from .image_losses import MaskedComposite, RangeLoss, TotalVariationLoss
from .losses import Loss, MaskedL1Loss, MaskedL2Loss, WeightedSum
from .masks import feather
from .optimize import optimize, render
from .prompts import WeightedText, parse_prompt
from .run_record import RunRecorder
from .starts import best_of, random_codes, random_features, sample_features
from .state import RunState
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
    "ClipImageLoss",
    "ClipLoss",
    "Guide",
    "Loss",
    "MaskedComposite",
    "MaskedL1Loss",
    "MaskedL2Loss",
    "OptimizeConfig",
    "Posterior",
    "Quantized",
    "RangeLoss",
    "RunRecorder",
    "RunState",
    "Step",
    "Tokenizer",
    "TokenizerSpec",
    "TotalVariationLoss",
    "WeightedSum",
    "WeightedText",
    "best_of",
    "feather",
    "known_tokenizers",
    "load_guide",
    "load_tokenizer",
    "optimize",
    "parse_prompt",
    "random_codes",
    "random_features",
    "render",
    "sample_features",
    "save_tokenizer",
]
