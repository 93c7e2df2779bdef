"""Experiments of the paper on the demo world: success of edits by setting."""
