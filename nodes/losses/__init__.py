"""Loss nodes, and the recipe that they hand to the optimizer."""

from .clip import ClipLoss, CombineLosses, ImagePromptLoss
from .masked import MaskedComposite, MaskedL1Loss
from .pixels import PixelPenalty

NODES = [ClipLoss, ImagePromptLoss, MaskedL1Loss, MaskedComposite, PixelPenalty, CombineLosses]
