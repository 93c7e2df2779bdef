"""What ComfyUI is to the pack: sockets, the guard, models, memory, progress, images and files."""
