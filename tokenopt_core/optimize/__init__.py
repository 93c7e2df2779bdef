"""Gradient descent on tokens: the loop, its settings, state, stopping rules and starts."""
