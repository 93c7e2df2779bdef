"""ComfyUI nodes over `tokenopt_core`: each converts its inputs, calls the library and reports."""

from collections.abc import Sequence

from .attributes.apply import ApplyAttribute
from .attributes.files import LoadAttribute, SaveAttribute
from .attributes.vector import AttributeVector
from .easy.inpaint import EasyInpaint
from .easy.text_edit import EasyTextEdit
from .editing.blend import Blend
from .editing.copy_and_set import Copy, SetCodes
from .editing.inspect import Inspect
from .editing.preset import PositionPreset
from .files.save_image import SaveImage
from .files.saved_image import SavedImageTokens
from .files.text import TextToTokens, TokensToText
from .files.token_files import LoadTokens, SaveTokens
from .guides.judge import Judge
from .guides.retrieval import SeedRetrieval
from .host.compat import ComfyExtension, io
from .host.guard import guarded
from .images.demo_scene import DemoScene
from .images.fit import FitImage
from .images.paste import PasteBack
from .loaders.load import LoadGuide, LoadTokenizer
from .losses.clip import ClipLoss, CombineLosses, ImagePromptLoss
from .losses.masked import MaskedComposite, MaskedL1Loss
from .losses.pixels import PixelPenalty
from .optimize.node import Optimize
from .optimize.options import OptimizeOptions
from .study.importance.node import TokenImportance
from .study.influence import PixelInfluence
from .study.perturb.node import PerturbSearch
from .sweep.node import Sweep
from .tokens.codec import Decode, Encode, Quantize
from .tokens.random_tokens import RandomTokens

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
