"""Images on the way in and out: fit, paste, masks and crops; every resize is here."""

from .fit import Fit, fit_around, fit_images, fit_masks, fit_whole
from .masks import feather
from .paste import into_square, mask_into_square, paste

__all__ = [
    "Fit",
    "feather",
    "fit_around",
    "fit_images",
    "fit_masks",
    "fit_whole",
    "into_square",
    "mask_into_square",
    "paste",
]
