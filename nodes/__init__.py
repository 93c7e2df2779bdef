"""ComfyUI nodes over `tokenopt_core`: each converts its inputs, calls the library and reports."""

from collections.abc import Sequence

from .attributes import ApplyAttribute, AttributeVector, LoadAttribute, SaveAttribute
from .easy import EasyInpaint, EasyTextEdit
from .editing import Blend, Copy, Inspect, PositionPreset, SetCodes
from .files import LoadTokens, SavedImageTokens, SaveImage, SaveTokens, TextToTokens, TokensToText
from .guides import Judge, SeedRetrieval
from .host.compat import ComfyExtension, io
from .host.guard import guarded
from .images import DemoScene, FitImage, PasteBack
from .loaders import LoadGuide, LoadTokenizer
from .losses import (
    ClipLoss,
    CombineLosses,
    ImagePromptLoss,
    MaskedComposite,
    MaskedL1Loss,
    PixelPenalty,
)
from .optimize import Optimize, OptimizeOptions
from .study import PerturbSearch, PixelInfluence, TokenImportance
from .sweep import Sweep
from .tokens import Decode, Encode, Quantize, RandomTokens

NODES = [
    EasyTextEdit,
    EasyInpaint,
    LoadTokenizer,
    LoadGuide,
    DemoScene,
    Encode,
    Quantize,
    Decode,
    RandomTokens,
    Copy,
    ClipLoss,
    ImagePromptLoss,
    MaskedL1Loss,
    MaskedComposite,
    PixelPenalty,
    CombineLosses,
    Optimize,
    OptimizeOptions,
    Sweep,
    Judge,
    SaveImage,
    FitImage,
    PasteBack,
    AttributeVector,
    ApplyAttribute,
    SaveAttribute,
    LoadAttribute,
    PositionPreset,
    Inspect,
    TokenImportance,
    PixelInfluence,
    Blend,
    SetCodes,
    TokensToText,
    TextToTokens,
    SaveTokens,
    LoadTokens,
    SavedImageTokens,
    PerturbSearch,
    SeedRetrieval,
]


class TokenOptExtension(ComfyExtension):
    """What ComfyUI asks for the pack's nodes."""

    def __init__(self, nodes: Sequence[type[io.ComfyNode]] = NODES) -> None:
        self._nodes = nodes

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [guarded(node) for node in self._nodes]


__all__ = ["NODES", "TokenOptExtension"]
