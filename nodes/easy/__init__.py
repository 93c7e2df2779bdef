"""Easy nodes: a whole edit in one node."""
