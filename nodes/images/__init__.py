"""Nodes that make, fit and paste images."""
