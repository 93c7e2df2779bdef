"""ComfyUI nodes over `tokenopt_core`: each converts its inputs, calls the library and reports."""

from collections.abc import Sequence

from .attribute import AttributeVector
from .attribute_apply import ApplyAttribute
from .attribute_files import LoadAttribute, SaveAttribute
from .blend import Blend
from .boundary import guarded
from .code_text import TextToTokens, TokensToText
from .codec import Decode, Encode, Quantize
from .compat import ComfyExtension, io
from .demo import DemoScene
from .easy_edit import EasyTextEdit
from .easy_inpaint import EasyInpaint
from .edit import Copy, SetCodes
from .fit import FitImage
from .importance import TokenImportance
from .influence import PixelInfluence
from .inspect import Inspect
from .judge import Judge
from .load import LoadGuide, LoadTokenizer
from .losses import ClipLoss, CombineLosses, ImagePromptLoss
from .mask_losses import MaskedComposite, MaskedL1Loss
from .optimizer import Optimize
from .options import OptimizeOptions
from .paste import PasteBack
from .perturb import PerturbSearch
from .pixel_losses import PixelPenalty
from .position_preset import PositionPreset
from .retrieval import SeedRetrieval
from .save import SaveImage
from .saved_codes import SavedImageTokens
from .sweep import Sweep
from .token_files import LoadTokens, SaveTokens
from .tokens import RandomTokens

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
