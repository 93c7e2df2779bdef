"""`python -m devtools.help_pictures [NODE ...]`: web/docs/images/TokenOpt_NODE.webp.

Without names all of them, some ten minutes on a CPU; the name `overview` is docs/overview.webp.
Needs what `python dev.py env` prepares.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..comfyui.layout import DEV, ROOT
from ..comfyui.server import ComfyServer
from . import attributes, keeping, losses, overview, screen, sizes, tokens
from .sheet import save
from .stage import Stage

OVERVIEW = ROOT / "docs" / "overview.webp"
PICTURES = ROOT / "web" / "docs" / "images"
RECIPES = {
    name: recipe
    for module in (sizes, losses, tokens, keeping, attributes, screen)
    for name, recipe in module.RECIPES.items()
}
RECIPES["overview"] = overview.overview


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in RECIPES]
    if unknown:
        print(f"No recipe for {', '.join(unknown)}; there are: {', '.join(RECIPES)}.")
        return 2
    log = DEV / "logs" / "help-pictures.log"
    with ComfyServer(DEV / "help-base", log=log) as server:
        stage = Stage(server)
        for name in names or RECIPES:
            path = place(name)
            size = save(RECIPES[name](stage), path)
            print(f"{path.relative_to(ROOT)}, {size / 1000:.0f} kB", flush=True)
    return 0


def place(name: str) -> Path:
    """Where the picture of a recipe is."""
    return OVERVIEW if name == "overview" else PICTURES / f"TokenOpt_{name}.webp"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
