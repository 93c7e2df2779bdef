"""Nodes that study what a token means."""
