"""TokenOpt for ComfyUI: edit and generate images by optimizing the tokens of a 1D tokenizer.

ComfyUI calls `comfy_entrypoint` when it loads the pack. Nothing is imported before, so that tools
may import this file outside ComfyUI; models and their libraries load when a node first needs them.

Of several copies in custom_nodes (a clone beside the one of the Manager, a backup) the first one is
the pack, and the others add no node and no script: a route that is registered twice keeps ComfyUI
from starting.
"""


def _other_copy() -> str:
    """The folder of another copy of this pack, whose route the server has; "" if there is none."""
    import os
    import sys

    server = getattr(sys.modules.get("server"), "PromptServer", None)
    for route in getattr(getattr(server, "instance", None), "routes", ()):
        if getattr(route, "path", None) == "/tokenopt/stop":
            folder = route.handler.__globals__["__file__"].rpartition(f"{os.sep}nodes{os.sep}")[0]
            own = os.path.realpath(os.path.dirname(__file__))
            return "" if os.path.realpath(folder) == own else folder
    return ""


WEB_DIRECTORY = "./web"
if _other_copy():
    WEB_DIRECTORY = None  # ComfyUI reads it before it calls what follows


async def comfy_entrypoint():
    """The extension that lists this pack's nodes; none in a second copy."""
    used = _other_copy()
    if used:
        import logging
        import os

        log, copy = logging.getLogger(__name__), os.path.dirname(__file__)
        log.warning(
            "TokenOpt: %s is used, and the copy in %s adds nothing; delete one of the two.",
            used,
            copy,
        )
    from .nodes import TokenOptExtension
    from .nodes.host.folders import register_model_folders
    from .nodes.host.stop import register_route

    if used:
        return TokenOptExtension(())
    register_model_folders()
    register_route()
    return TokenOptExtension()


__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
