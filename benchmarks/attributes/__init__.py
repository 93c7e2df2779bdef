"""Attribute vectors: how often one transfers."""
