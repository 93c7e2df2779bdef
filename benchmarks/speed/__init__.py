"""Speed of the loop, its parts and the nodes."""
