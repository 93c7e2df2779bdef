"""What a token means: influence, importance and perturbation search."""
