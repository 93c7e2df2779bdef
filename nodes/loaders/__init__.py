"""Loader nodes: tokenizers and guides, found on the disk or downloaded."""

from .load import LoadGuide, LoadTokenizer

__all__ = ["LoadGuide", "LoadTokenizer"]
