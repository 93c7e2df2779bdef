"""How the demo models are made: `python -m training` trains, exports and measures all of them."""
