"""Success of edits over settings, on the demo world."""
