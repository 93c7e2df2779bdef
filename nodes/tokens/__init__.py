"""Nodes that encode, quantize, decode and draw tokens."""
