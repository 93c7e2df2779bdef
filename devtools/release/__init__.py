"""Releases: archive, metadata, registry and installation."""
