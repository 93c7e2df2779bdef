"""Losses over images: CLIP, masked, pixel penalties, prompts and their weighted sums."""
