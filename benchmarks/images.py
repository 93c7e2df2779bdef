"""Grids of small images with labels, light enough for a repository."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

TILE = 64
LIMIT = 290_000  # bytes of a file
_LABEL = 260  # pixels of the label's column


def strip(images: Iterable[Tensor]) -> Image.Image:
    """Tensors (3, h, w) in [0, 1] side by side."""
    values = (torch.cat(list(images), dim=2).clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(values.permute(1, 2, 0).contiguous().numpy())


def grid(rows: Sequence[tuple[str, Image.Image]], count: int, scale: int = 1) -> Image.Image:
    """One line for each label: the first `count` tiles of its strip, beside the label."""
    side, line = TILE * scale, TILE * scale + 4
    canvas = Image.new("RGB", (_LABEL + count * line, len(rows) * line), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=13)
    for y, (label, images) in enumerate(rows):
        draw.text((4, y * line + side // 2 - 8), label, fill="black", font=font)
        for x in range(min(count, images.width // TILE)):
            tile = images.crop((x * TILE, 0, (x + 1) * TILE, TILE))
            tile = tile.resize((side, side), Image.Resampling.NEAREST)
            canvas.paste(tile, (_LABEL + x * line, y * line))
    return canvas


def save(image: Image.Image, path: Path) -> None:
    """Writes a PNG below the size limit, with fewer colours where it has to be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)
    for colours in (256, 128, 64):
        if path.stat().st_size <= LIMIT:
            return
        # A median cut forgets the few pixels of a vivid object: purple turned magenta.
        few = image.quantize(colours, Image.Quantize.MAXCOVERAGE, kmeans=4)
        few.save(path, optimize=True)
