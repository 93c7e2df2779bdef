"""Guides: CLIP and SigLIP models, their files, embeddings of images, and retrieval."""

from .guide import Guide, load_guide
from .retrieval import choose, embed_images, similarities

__all__ = ["Guide", "choose", "embed_images", "load_guide", "similarities"]
