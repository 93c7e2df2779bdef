"""ComfyUI nodes over `tokenopt_core`: each converts its inputs, calls the library and reports."""

from collections.abc import Sequence

from . import (
    attributes,
    easy,
    editing,
    files,
    guides,
    images,
    loaders,
    losses,
    optimize,
    study,
    sweep,
    tokens,
)
from .host.compat import ComfyExtension, io
from .host.guard import guarded

# As in the menu: what comes first is needed first.
ROOMS = (
    easy,
    loaders,
    images,
    tokens,
    editing,
    losses,
    optimize,
    sweep,
    guides,
    attributes,
    study,
    files,
)
NODES = [node for room in ROOMS for node in room.NODES]


class TokenOptExtension(ComfyExtension):
    """What ComfyUI asks for the pack's nodes."""

    def __init__(self, nodes: Sequence[type[io.ComfyNode]] = NODES) -> None:
        self._nodes = nodes

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [guarded(node) for node in self._nodes]


__all__ = ["NODES", "TokenOptExtension"]
