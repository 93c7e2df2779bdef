"""Token nodes: encode, quantize, decode, and random tokens."""

from .codec import Decode, Encode, Quantize
from .random_tokens import RandomTokens

NODES = [Encode, Quantize, Decode, RandomTokens]
