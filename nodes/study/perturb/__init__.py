"""Token Perturb Search: node, run and report."""
