"""How the networks run: attention, norms, mixed precision, gradients, memory and seeds."""
