"""Saves what the examples make: a labelled sheet of pictures."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

SIDE, GAP, HEAD = 160, 8, 30  # pixels


def save(name: str, columns: dict[str, Tensor]) -> None:
    """Writes a sheet with one column per label, into the folder given on the command line.

    Args:
        columns: label -> images (b, 3, h, w) in [0, 1], a row for each of the b.
    """
    sheet = sheet_of(columns)
    path = Path(*sys.argv[1:2] or ["example_results"], name)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    print(f"{path}: {', '.join(columns)}")


def sheet_of(columns: dict[str, Tensor]) -> Image.Image:
    """The sheet itself."""
    rows = max(map(len, columns.values()))
    step = SIDE + GAP
    sheet = Image.new("RGB", (GAP + step * len(columns), HEAD + step * rows), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for column, (label, images) in enumerate(columns.items()):
        left = GAP + step * column
        draw.text((left + SIDE // 2, HEAD // 2), label, "black", font, anchor="mm")
        for row, image in enumerate(images):
            sheet.paste(picture(image), (left, HEAD + step * row))
    return sheet


def picture(image: Tensor) -> Image.Image:
    """A PIL image, enlarged, of one (3, h, w) in [0, 1]."""
    pixels = image.detach().clamp(0, 1).mul(255).round().byte().movedim(0, 2).cpu()
    return Image.fromarray(pixels.numpy()).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
