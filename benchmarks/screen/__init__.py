"""Partial searches of codes: how often each method holds the best code."""
