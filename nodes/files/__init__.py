"""File nodes: tokens as text and files, and images that carry their record."""

from .save_image import SaveImage
from .saved_image import SavedImageTokens
from .text import TextToTokens, TokensToText
from .token_files import LoadTokens, SaveTokens

NODES = [SaveImage, TokensToText, TextToTokens, SaveTokens, LoadTokens, SavedImageTokens]
