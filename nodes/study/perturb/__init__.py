"""Token Perturb Search."""
