"""Measurements: experiments on the demo world, speed, checks of a GPU, and a soak test."""
