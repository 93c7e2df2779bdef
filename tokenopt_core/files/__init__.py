"""Files of others and small files of our own."""
