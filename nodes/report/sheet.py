"""Sheets: grids of images with words above, below and beside them, and heat maps in colour.

Drawn with PIL alone, in the images' own pixels. No ComfyUI.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .drawing import BEST, FAINT, GRID, PAPER, TEXT
from .words import cut, wrapped

MARGIN, GAP = 24, 16
LABEL_SIZE, CAPTION_SIZE = 17, 14
LINE = 1.3  # height of a line, in sizes of its letters
MOST_LINES, MOST_LINES_BESIDE = 3, 6
SIDE = 150  # widest column of words beside the rows
WIDEST, NARROWEST = 4096, 48  # a whole sheet, a tile
# Dark to light like heat, in steps that stay apart without colour too (as "inferno" does).
HEAT = (
    (0.00, 0.00, 0.02),
    (0.26, 0.04, 0.41),
    (0.58, 0.15, 0.40),
    (0.87, 0.32, 0.23),
    (0.99, 0.65, 0.04),
    (0.99, 1.00, 0.64),
)


@dataclass(frozen=True)
class Tile:
    """One image of a sheet.

    Args:
        image: None where there is none yet.
        label: words above it.
        caption: words below it.
        best: shown as the best one.
    """

    image: Image.Image | None
    label: str = ""
    caption: str = ""
    best: bool = False


def draw_grid(
    rows: Sequence[Sequence[Tile]],
    *,
    across: Sequence[str] = (),
    down: Sequence[str] = (),
    width: int = 256,
) -> Image.Image:
    """All tiles in rows.

    Args:
        across: words above the columns, none if every tile has its own.
        down: words beside the rows.
        width: of a tile; less if the sheet would get wider than `WIDEST`.
    """
    columns = max(len(row) for row in rows)
    side = min(SIDE, width) + GAP if down else 0
    width = max(NARROWEST, min(width, (WIDEST - 2 * MARGIN - side) // columns - GAP))
    style = _Style(width, round(width * _aspect(rows)))
    head = style.label_height(across)
    labels = [style.label_height([tile.label for tile in row]) for row in rows]
    foot = style.caption_line + 8 if any(tile.caption for row in rows for tile in row) else 0
    left, top = MARGIN + side, MARGIN + head
    full_width = left + columns * (width + GAP) - GAP + MARGIN
    full_height = top + sum(labels) + len(rows) * (style.height + foot + GAP) - GAP + MARGIN
    sheet = Image.new("RGB", (full_width, full_height), PAPER)
    for c, words in enumerate(across):
        style.draw_label(sheet, words, left + c * (width + GAP), top)
    for r, row in enumerate(rows):
        top += labels[r]
        if down:
            style.draw_beside(sheet, down[r], side - GAP, top)
        for c, tile in enumerate(row):
            style.draw_tile(sheet, tile, left + c * (width + GAP), top)
        top += style.height + foot + GAP
    return sheet


def heat(maps: Tensor) -> Tensor:
    """Colours (n, 3, s, s) in [0, 1] of maps (n, s, s) from 0 to 1."""
    colours = torch.tensor(HEAT)
    place = maps.clamp(0, 1) * (len(colours) - 1)
    low = place.floor().long().clamp(max=len(colours) - 2)
    part = (place - low).unsqueeze(-1)
    return ((1 - part) * colours[low] + part * colours[low + 1]).movedim(-1, 1)


class _Style:
    """Tiles of one size, with letters that suit it; `top` is always that of a tile's image."""

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height
        label, caption = min(LABEL_SIZE, 9 + width // 24), min(CAPTION_SIZE, 8 + width // 36)
        self._label, self._caption = ImageFont.load_default(label), ImageFont.load_default(caption)
        self._label_line, self.caption_line = round(label * LINE), round(caption * LINE)

    def label_height(self, labels: Sequence[str]) -> int:
        """Room for the longest of the labels above tiles."""
        most = max((len(self._lines(label)) for label in labels), default=0)
        return most * self._label_line + 10 if most else 0

    def draw_label(self, sheet: Image.Image, text: str, left: int, top: int) -> None:
        """Centred lines above a tile, the last one close to it."""
        draw = ImageDraw.Draw(sheet)
        for i, line in enumerate(reversed(self._lines(text))):
            place = (left + self.width / 2, top - 6 - i * self._label_line)
            draw.text(place, line, TEXT, self._label, anchor="md")

    def draw_beside(self, sheet: Image.Image, text: str, width: int, top: int) -> None:
        """Lines at the left margin that end at the right, in the middle of a row's height."""
        draw = ImageDraw.Draw(sheet)
        lines = wrapped(text, width, self._label.getlength, MOST_LINES_BESIDE)
        for i, line in enumerate(lines):
            y = top + self.height / 2 + (i - (len(lines) - 1) / 2) * self._label_line
            draw.text((MARGIN + width, y), line, TEXT, self._label, anchor="rm")

    def draw_tile(self, sheet: Image.Image, tile: Tile, left: int, top: int) -> None:
        """The image, or an empty frame, with its label and its caption."""
        draw = ImageDraw.Draw(sheet)
        right, bottom = left + self.width, top + self.height
        self.draw_label(sheet, tile.label, left, top)
        if tile.image:
            size = (self.width, self.height)
            sheet.paste(tile.image.resize(size, Image.Resampling.BICUBIC), (left, top))
        else:
            draw.rectangle((left, top, right - 1, bottom - 1), outline=GRID)
        if tile.best:
            draw.rectangle((left - 3, top - 3, right + 2, bottom + 2), outline=BEST, width=3)
        place = (left + self.width / 2, bottom + 6 + self.caption_line / 2)
        caption = cut(tile.caption, self.width, self._caption.getlength)
        draw.text(place, caption, BEST if tile.best else FAINT, self._caption, anchor="mm")

    def _lines(self, label: str) -> list[str]:
        return wrapped(label, self.width, self._label.getlength, MOST_LINES)


def _aspect(rows: Sequence[Sequence[Tile]]) -> float:
    """Height by width of the first image."""
    images = [tile.image for row in rows for tile in row if tile.image]
    return images[0].height / images[0].width if images else 1.0
