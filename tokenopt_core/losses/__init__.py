"""Losses of images: CLIP similarity, known pixels, pixel penalties, and their weighted sum."""

from .base import CallableLoss, Loss, LossFunction, WeightedSum, as_loss
from .clip import ClipImageLoss, ClipLoss
from .masked import MaskedComposite, MaskedL1Loss, MaskedL2Loss, MaskedLoss
from .pixels import RangeLoss, TotalVariationLoss
from .prompts import WeightedText, parse_prompt

__all__ = [
    "CallableLoss",
    "ClipImageLoss",
    "ClipLoss",
    "Loss",
    "LossFunction",
    "MaskedComposite",
    "MaskedL1Loss",
    "MaskedL2Loss",
    "MaskedLoss",
    "RangeLoss",
    "TotalVariationLoss",
    "WeightedSum",
    "WeightedText",
    "as_loss",
    "parse_prompt",
]
