"""Speed of the optimization loop, of its parts, and of the nodes."""
