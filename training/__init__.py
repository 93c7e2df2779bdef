"""Training of the demo models: `python -m training` trains, exports and measures all of them."""
