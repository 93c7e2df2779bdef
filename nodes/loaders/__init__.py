"""Nodes that load tokenizers and guides."""
