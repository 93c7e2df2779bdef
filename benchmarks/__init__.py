"""Experiments on the demo world: `python -m benchmarks.science`."""
