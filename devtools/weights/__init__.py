"""Checks of released weights, for whoever has them: what is in the files, and what they compute."""
