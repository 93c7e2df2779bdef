"""Edits of tokens: copies, blends, attribute vectors, text, files and positions."""
