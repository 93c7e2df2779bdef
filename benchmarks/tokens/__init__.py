"""Meaning of single tokens: tokens copied between scenes, and read by the judge."""
