"""Attribute vectors: how often one changes another scene as it should."""
