"""A help picture: rows of tiles with a few words above and below, drawn with PIL alone."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WIDTH = 640
MARGIN, GAP = 16, 14
LARGEST = 168  # side of a tile
PAPER, TEXT, FAINT = (37, 39, 43), (236, 236, 232), (170, 172, 176)
SIZE, LEADING = 20, 25
MOST_BYTES = 40_000


@dataclass(frozen=True)
class Tile:
    """A picture or some lines of text, with words above (label) and below (caption)."""

    shown: Image.Image | str
    label: str = ""
    caption: str = ""


def draw(rows: Sequence[Sequence[Tile]]) -> Image.Image:
    """All rows below one another, tiles of one size side by side and centred."""
    side = min(LARGEST, *map(_side, rows))
    drawn = [_row(row, side) for row in rows]
    sheet = Image.new("RGB", (WIDTH, 2 * MARGIN + sum(r.height for r in drawn)), PAPER)
    top = MARGIN
    for row in drawn:
        sheet.paste(row, ((WIDTH - row.width) // 2, top))
        top += row.height
    return sheet


def named_row(names: Sequence[str], shown: Sequence[Sequence[Image.Image]]) -> list[Tile]:
    """The first image of each batch, with its name."""
    return [Tile(images[0], name) for name, images in zip(names, shown, strict=True)]


def whole(picture: Image.Image) -> Image.Image:
    """A sheet or chart that a node drew, as it is, at the width of a help picture."""
    height = round(picture.height * WIDTH / picture.width)
    return picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)


def stacked(*pictures: Image.Image) -> Image.Image:
    """Pictures of the same width below one another."""
    sheet = Image.new("RGB", (WIDTH, sum(picture.height for picture in pictures)), PAPER)
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    return sheet


def save(picture: Image.Image, path: Path) -> int:
    """Writes it as small as it must be, never rougher than quality 60; gives the bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in (82, 75, 68, 60):
        picture.save(path, quality=quality, method=6)
        if path.stat().st_size <= MOST_BYTES:
            break
    return path.stat().st_size


def _row(tiles: Sequence[Tile], side: int) -> Image.Image:
    font = ImageFont.load_default(SIZE)
    widths = [round(_shape(tile) * side) for tile in tiles]
    above = [_lines(tile.label, width, font) for tile, width in zip(tiles, widths, strict=True)]
    below = [_lines(tile.caption, width, font) for tile, width in zip(tiles, widths, strict=True)]
    head, foot = (max(map(len, words)) * LEADING for words in (above, below))
    size = (sum(widths) + GAP * (len(tiles) - 1), head + side + foot + GAP)
    row = Image.new("RGB", size, PAPER)
    draw_on = ImageDraw.Draw(row)
    left = 0
    for tile, width, label, caption in zip(tiles, widths, above, below, strict=True):
        middle = left + width / 2
        for i, line in enumerate(label):
            y = head - (len(label) - i) * LEADING + LEADING / 2 - 2
            draw_on.text((middle, y), line, TEXT, font, anchor="mm")
        _show(row, draw_on, tile.shown, (left, head, width, side))
        for i, line in enumerate(caption):
            y = head + side + i * LEADING + LEADING / 2 + 2
            draw_on.text((middle, y), line, FAINT, font, anchor="mm")
        left += width + GAP
    return row


def _side(row: Sequence[Tile]) -> int:
    """The height at which a row's tiles are as wide as there is room."""
    room = WIDTH - 2 * MARGIN - GAP * (len(row) - 1)
    return int((room - len(row)) / sum(map(_shape, row)))  # one less for what rounding adds


def _shape(tile: Tile) -> float:
    """Width over height: a picture keeps its own, text takes half as much again as a square."""
    return 1.5 if isinstance(tile.shown, str) else tile.shown.width / tile.shown.height


def _show(row: Image.Image, draw_on: ImageDraw.ImageDraw, shown: Image.Image | str, box) -> None:
    left, top, width, side = box
    if isinstance(shown, str):
        font = ImageFont.load_default(SIZE)
        lines = [line for part in shown.splitlines() for line in _lines(part, width - 16, font)]
        draw_on.rectangle((left, top, left + width - 1, top + side - 1), outline=(90, 93, 99))
        y = top + side / 2 - (len(lines) - 1) * LEADING / 2
        for i, line in enumerate(lines):
            draw_on.text((left + width / 2, y + i * LEADING), line, TEXT, font, anchor="mm")
        return
    filter_ = Image.Resampling.BICUBIC if shown.height < side else Image.Resampling.LANCZOS
    row.paste(shown.convert("RGB").resize((width, side), filter_), (left, top))


def _lines(words: str, width: int, font: ImageFont.FreeTypeFont) -> list[str]:
    """The words in lines that are no longer than `width`; a word that is longer is cut up."""
    if not words:
        return []
    letters = max(4, len(words))
    while letters > 4:
        lines = textwrap.wrap(words, letters)
        if all(font.getlength(line) <= width for line in lines):
            return lines
        letters -= 1
    return textwrap.wrap(words, letters)
