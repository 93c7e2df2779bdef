"""Attribute vector nodes."""
