"""Token nodes: encode, quantize, decode, captions, and random tokens."""

from .caption import ReadCaption
from .codec import Decode, Encode, Quantize
from .random_tokens import RandomTokens

NODES = [Encode, Quantize, Decode, ReadCaption, RandomTokens]
