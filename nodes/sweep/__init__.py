"""Parameter Sweep."""
