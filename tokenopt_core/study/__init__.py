"""What a token means: influence, importance and perturbation search."""

from .importance import Importance, Responses, importance, responses
from .influence import pixel_influence
from .perturb import Found, SearchConfig, perturb_search

__all__ = [
    "Found",
    "Importance",
    "Responses",
    "SearchConfig",
    "importance",
    "perturb_search",
    "pixel_influence",
    "responses",
]
