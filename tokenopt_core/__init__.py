"""Edit and generate images by moving the few tokens of a 1D image tokenizer.

TiTok (arXiv 2406.07550) holds an image in 32 tokens; "Highly Compressed Tokenizer Can Generate
Without Training" (arXiv 2506.08257) edits it by gradient descent on them. This package is plain
PyTorch: tokenizers, losses, the optimization loop, and a small demo world.
"""

from .attribute_files import load_attribute, save_attribute
from .attribute_vectors import Attribute, add_attribute, attribute_vector
from .clip_loss import ClipImageLoss, ClipLoss
from .code_text import codes_to_text, exact_codes, text_to_codes
from .config import OptimizeConfig, Step
from .guides import Guide, load_guide
from .image_losses import MaskedComposite, RangeLoss, TotalVariationLoss
from .importance import Importance, importance, responses
from .influence import pixel_influence
from .losses import Loss, MaskedL1Loss, MaskedL2Loss, WeightedSum
from .masks import feather
from .optimize import optimize, render
from .perturb import Found, SearchConfig, perturb_search
from .prompts import WeightedText, parse_prompt
from .retrieval import choose, embed_images, similarities
from .run_record import RunRecorder
from .starts import best_of, random_codes, random_features, sample_features
from .state import RunState
from .token_edits import blend_tokens, copy_tokens, set_codes
from .token_files import load_tokens, save_tokens
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
    "Attribute",
    "ClipImageLoss",
    "ClipLoss",
    "Found",
    "Guide",
    "Importance",
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
    "SearchConfig",
    "Step",
    "Tokenizer",
    "TokenizerSpec",
    "TotalVariationLoss",
    "WeightedSum",
    "WeightedText",
    "add_attribute",
    "attribute_vector",
    "best_of",
    "blend_tokens",
    "choose",
    "codes_to_text",
    "copy_tokens",
    "embed_images",
    "exact_codes",
    "feather",
    "importance",
    "known_tokenizers",
    "load_attribute",
    "load_guide",
    "load_tokenizer",
    "load_tokens",
    "optimize",
    "parse_prompt",
    "perturb_search",
    "pixel_influence",
    "random_codes",
    "random_features",
    "render",
    "responses",
    "sample_features",
    "save_attribute",
    "save_tokenizer",
    "save_tokens",
    "set_codes",
    "similarities",
    "text_to_codes",
]
