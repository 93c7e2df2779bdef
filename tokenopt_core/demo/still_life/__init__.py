"""The next demo world: rendered still lifes of 128 x 128 pixels, and their captions.

It takes the place of the 64 x 64 world of `tokenopt_core.demo` once its models are trained.
"""

from .captions import caption
from .scenery import IMAGE_SIZE
from .world import ATTRIBUTES, Attributes, render, sample

__all__ = ["ATTRIBUTES", "IMAGE_SIZE", "Attributes", "caption", "render", "sample"]
