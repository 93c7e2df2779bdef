"""ComfyUI as the pack uses it: sockets, the guard, models, memory, progress, images and files."""
