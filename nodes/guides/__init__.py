"""Nodes that ask a guide: judge and seed retrieval."""
