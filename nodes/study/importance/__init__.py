"""Token Importance."""
