"""Token Importance: node, run and report."""
