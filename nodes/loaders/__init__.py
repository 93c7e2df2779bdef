"""Loader nodes: tokenizers, guides and caption encoders, found on the disk or downloaded."""

from .load import LoadCaptionEncoder, LoadGuide, LoadTokenizer

NODES = [LoadTokenizer, LoadGuide, LoadCaptionEncoder]
