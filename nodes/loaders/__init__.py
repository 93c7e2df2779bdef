"""Loader nodes: tokenizers and guides, found on the disk or downloaded."""

from .load import LoadGuide, LoadTokenizer

NODES = [LoadTokenizer, LoadGuide]
