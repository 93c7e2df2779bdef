"""What one token carries: tokens copied between scenes, and read by the judge."""
