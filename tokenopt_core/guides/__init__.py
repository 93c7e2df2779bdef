"""Guides: CLIP and SigLIP models, their files, embeddings of images, retrieval, and the caption
encoder."""

from .guide import Guide, load_guide
from .retrieval import choose, embed_images, similarities
from .text_encoder import load_text_encoder

__all__ = ["Guide", "choose", "embed_images", "load_guide", "load_text_encoder", "similarities"]
