"""The embedded demo world: scenes, their captions, and an independent judge.

Beside it lie the demo models, in the released layouts: `tokenizer/` (a TiTok), `clip/` (an
open_clip model) and `judge/`. `load_tokenizer("demo")` and `load_guide("demo")` read the first two.
"""

from .captions import caption
from .judge import Judgement, judge
from .world import ATTRIBUTES, IMAGE_SIZE, Attributes, render, sample

__all__ = [
    "ATTRIBUTES",
    "IMAGE_SIZE",
    "Attributes",
    "Judgement",
    "caption",
    "judge",
    "render",
    "sample",
]
