"""Image tokenizers: TiTok, TA-TiTok and MaskGIT-VQGAN behind one `Tokenizer`."""

from ..hub import DownloadError
from .base import Posterior, Quantized, Tokenizer
from .config import config_of
from .loading import build_tokenizer, find_release, load_tokenizer, save_tokenizer
from .quantize import QuantizerLoss
from .registry import RELEASES, Release, known_tokenizers
from .spec import VIT_SIZES, PixelStage, TokenizerSpec, ViTSize
from .titok import TiTok
from .vqgan import MaskGitVqgan

__all__ = [
    "RELEASES",
    "VIT_SIZES",
    "DownloadError",
    "MaskGitVqgan",
    "PixelStage",
    "Posterior",
    "Quantized",
    "QuantizerLoss",
    "Release",
    "TiTok",
    "Tokenizer",
    "TokenizerSpec",
    "ViTSize",
    "build_tokenizer",
    "config_of",
    "find_release",
    "known_tokenizers",
    "load_tokenizer",
    "save_tokenizer",
]
