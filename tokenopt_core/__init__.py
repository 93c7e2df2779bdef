"""Edit and generate images by moving the few tokens of a 1D image tokenizer.

TiTok (arXiv 2406.07550) holds an image in 32 tokens; "Highly Compressed Tokenizer Can Generate
Without Training" (arXiv 2506.08257) edits it by gradient descent on them. This package is plain
PyTorch: tokenizers and generators of their tokens, losses, the optimization loop, and a small demo
world.
"""

from .generators import (
    GenerationStep,
    Generator,
    GeneratorSpec,
    SamplingConfig,
    check_fit,
    class_labels,
    class_names,
    generate,
    known_generators,
    load_generator,
    save_generator,
)
from .guides.guide import Guide, load_guide
from .guides.retrieval import choose, embed_images, similarities
from .guides.text_encoder import TextEncoder, TextFeatures, load_text_encoder
from .images.masks import feather
from .losses.base import Loss, WeightedSum
from .losses.clip import ClipImageLoss, ClipLoss
from .losses.masked import MaskedComposite, MaskedL1Loss, MaskedL2Loss
from .losses.pixels import RangeLoss, TotalVariationLoss
from .losses.prompts import WeightedText, parse_prompt
from .optimize.config import OptimizeConfig
from .optimize.loop import optimize, render
from .optimize.record import RunRecorder
from .optimize.starts import best_of, random_codes, random_features, sample_features
from .optimize.state import RunState, Step
from .study.importance import Importance, importance, responses
from .study.influence import pixel_influence
from .study.perturb import Found, SearchConfig, perturb_search
from .tokenizers import (
    Posterior,
    Quantized,
    Tokenizer,
    TokenizerSpec,
    known_tokenizers,
    load_tokenizer,
    save_tokenizer,
)
from .tokens.attributes import Attribute, add_attribute, attribute_vector
from .tokens.edits import blend_tokens, copy_tokens, set_codes
from .tokens.files import load_attribute, load_tokens, save_attribute, save_tokens
from .tokens.text import codes_to_text, exact_codes, text_to_codes

__all__ = [
    "Attribute",
    "ClipImageLoss",
    "ClipLoss",
    "Found",
    "GenerationStep",
    "Generator",
    "GeneratorSpec",
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
    "SamplingConfig",
    "SearchConfig",
    "Step",
    "TextEncoder",
    "TextFeatures",
    "Tokenizer",
    "TokenizerSpec",
    "TotalVariationLoss",
    "WeightedSum",
    "WeightedText",
    "add_attribute",
    "attribute_vector",
    "best_of",
    "blend_tokens",
    "check_fit",
    "choose",
    "class_labels",
    "class_names",
    "codes_to_text",
    "copy_tokens",
    "embed_images",
    "exact_codes",
    "feather",
    "generate",
    "importance",
    "known_generators",
    "known_tokenizers",
    "load_attribute",
    "load_generator",
    "load_guide",
    "load_text_encoder",
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
    "save_generator",
    "save_tokenizer",
    "save_tokens",
    "set_codes",
    "similarities",
    "text_to_codes",
]
