"""What single tokens hold: disentanglement, copying, choosing."""
