"""A real ComfyUI to test against: server, client, browser and front end."""
