"""Nodes that save and load tokens, text and images."""
