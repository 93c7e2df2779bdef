"""Loss nodes, and the recipe that they hand to the optimizer."""
