"""TokenOpt for ComfyUI: edit and generate images by optimizing the tokens of a 1D tokenizer.

ComfyUI calls `comfy_entrypoint` when it loads the pack. Nothing is imported before, so that tools
may import this file outside ComfyUI; models and their libraries load when a node first needs them.
"""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    """The extension that lists this pack's nodes."""
    from .nodes import TokenOptExtension
    from .nodes.folders import register_model_folders
    from .nodes.stop import register_route

    register_model_folders()
    register_route()
    return TokenOptExtension()


__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
