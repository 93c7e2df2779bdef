"""Tools of development: a real ComfyUI, templates, pages, help pictures and releases."""
