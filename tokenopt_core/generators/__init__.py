"""Generators of tokens: TiTok's ImageBert and UViTBert behind one `Generator`."""

from .base import ClassGenerator, Generator, check_fit
from .config import SamplingConfig
from .labels import class_labels, class_names
from .loading import build_generator, load_generator, save_generator
from .registry import RELEASES, Release, known_generators
from .sampling import GenerationStep, generate
from .spec import GeneratorSpec

__all__ = [
    "RELEASES",
    "ClassGenerator",
    "GenerationStep",
    "Generator",
    "GeneratorSpec",
    "Release",
    "SamplingConfig",
    "build_generator",
    "check_fit",
    "class_labels",
    "class_names",
    "generate",
    "known_generators",
    "load_generator",
    "save_generator",
]
