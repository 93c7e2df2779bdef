"""ComfyUI nodes over `tokenopt_core`: each converts its inputs, calls the library and reports."""

from .codec import Decode, Encode, Quantize
from .compat import ComfyExtension, io
from .demo import DemoScene
from .edit import Copy
from .importance import TokenImportance
from .influence import PixelInfluence
from .judge import Judge
from .load import LoadGuide, LoadTokenizer
from .losses import ClipLoss, CombineLosses, ImagePromptLoss
from .mask_losses import MaskedComposite, MaskedL1Loss
from .optimizer import Optimize
from .options import OptimizeOptions
from .pixel_losses import PixelPenalty
from .save import SaveImage
from .sweep import Sweep
from .tokens import RandomTokens

NODES = [
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
    TokenImportance,
    PixelInfluence,
]


class TokenOptExtension(ComfyExtension):
    """What ComfyUI asks for the pack's nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return list(NODES)


__all__ = ["NODES", "TokenOptExtension"]
