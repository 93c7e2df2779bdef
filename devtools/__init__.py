"""Shared by dev.py and the tests: a real ComfyUI server, its client, a browser. Not in the pack."""
