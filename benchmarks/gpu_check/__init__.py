"""One short check of a GPU: results, speed and memory."""
