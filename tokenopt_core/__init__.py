"""Token optimization for 1D image tokenizers."""
