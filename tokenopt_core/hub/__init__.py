"""Downloads from model hubs."""
