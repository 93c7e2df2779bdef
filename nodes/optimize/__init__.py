"""Token Optimizer, its options, run and report."""
