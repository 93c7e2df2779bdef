"""Sheets: equal images side by side on one image."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image


def contact_sheet(images: Sequence[Image.Image], columns: int, width: int = 0) -> Image.Image:
    """All images in rows of `columns`, each so wide, or as wide as the first one is."""
    width = width or images[0].width
    height = width * images[0].height // images[0].width
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (width * columns, height * rows))
    for place, image in enumerate(images):
        tile = image.convert("RGB")
        if tile.size != (width, height):
            tile = tile.resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(tile, (place % columns * width, place // columns * height))
    return sheet
