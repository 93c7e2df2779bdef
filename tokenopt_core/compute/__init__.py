"""Computation of the networks: attention, norms, mixed precision, gradients, memory and seeds."""
