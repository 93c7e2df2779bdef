"""The picture of a sweep: one tile for each run, with its values above and beside it.

Drawn with PIL alone. No ComfyUI and no torch: pictures and words in, a picture out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

PAPER, FRAME, TEXT, FAINT = (37, 39, 43), (70, 73, 79), (236, 236, 232), (160, 162, 166)
BEST = (64, 214, 164)
MARGIN, GAP = 24, 16
LABEL_SIZE, CAPTION_SIZE = 17, 14
MOST_LINES = 3
WIDEST = 4096


@dataclass(frozen=True)
class Tile:
    """One run.

    Args:
        picture: None where there is none yet.
        label: words above it.
        caption: words below it.
        best: shown as the one with the lowest loss.
    """

    picture: Image.Image | None
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
    side = min(150, width) + GAP if down else 0
    width = max(48, min(width, (WIDEST - 2 * MARGIN - side) // columns - GAP))
    height = round(width * _aspect(rows))
    fonts = Fonts(min(LABEL_SIZE, 9 + width // 24), min(CAPTION_SIZE, 8 + width // 36))
    head = _lines_height(across, width, fonts)
    labels = [_lines_height([tile.label for tile in row], width, fonts) for row in rows]
    foot = fonts.caption_height + 8 if any(tile.caption for row in rows for tile in row) else 0
    step = [label + height + foot + GAP for label in labels]
    size = (
        2 * MARGIN + side + columns * (width + GAP) - GAP,
        2 * MARGIN + head + sum(step) - GAP,
    )
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, words in enumerate(across):
        x = MARGIN + side + column * (width + GAP)
        _words(pen, words, (x, MARGIN + head - 6), width, fonts)
    top = MARGIN + head
    for r, row in enumerate(rows):
        if down:
            middle = top + labels[r] + height / 2
            _beside(pen, down[r], (MARGIN, middle), side - GAP, fonts)
        for c, tile in enumerate(row):
            x = MARGIN + side + c * (width + GAP)
            _words(pen, tile.label, (x, top + labels[r] - 6), width, fonts)
            _tile(sheet, pen, tile, (x, top + labels[r]), (width, height), fonts)
        top += step[r]
    return sheet


class Fonts:
    """The two sizes of letters, and their heights."""

    def __init__(self, label: int, caption: int):
        self.label, self.caption = ImageFont.load_default(label), ImageFont.load_default(caption)
        self.label_height, self.caption_height = round(label * 1.3), round(caption * 1.3)


def wrapped(text: str, font, width: float, most: int = MOST_LINES) -> list[str]:
    """The text in lines that fit the width, cut after `most` of them."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    shown = [_cut(line, font, width) for line in lines[:most]]
    if len(lines) > most:
        shown[-1] = _cut(lines[most - 1] + " " + lines[most], font, width, always=True)
    return shown


def _cut(line: str, font, width: float, *, always: bool = False) -> str:
    if font.getlength(line) <= width and not always:
        return line
    while line and font.getlength(line + "...") > width:
        line = line[:-1]
    return line.rstrip() + "..."


def _aspect(rows: Sequence[Sequence[Tile]]) -> float:
    pictures = [tile.picture for row in rows for tile in row if tile.picture]
    return pictures[0].height / pictures[0].width if pictures else 1.0


def _lines_height(texts: Sequence[str], width: int, fonts: Fonts) -> int:
    most = max((len(wrapped(text, fonts.label, width)) for text in texts), default=0)
    return most * fonts.label_height + 10 if most else 0


def _words(pen: ImageDraw.ImageDraw, text: str, corner, width: int, fonts: Fonts) -> None:
    """Centred lines whose last one stands on the corner's height."""
    lines = wrapped(text, fonts.label, width)
    for i, line in enumerate(reversed(lines)):
        place = (corner[0] + width / 2, corner[1] - i * fonts.label_height)
        pen.text(place, line, TEXT, fonts.label, anchor="md")


def _beside(pen: ImageDraw.ImageDraw, text: str, place, width: int, fonts: Fonts) -> None:
    """Lines that end at the right, around the height of the place."""
    lines = wrapped(text, fonts.label, width, most=2 * MOST_LINES)
    for i, line in enumerate(lines):
        y = place[1] + (i - (len(lines) - 1) / 2) * fonts.label_height
        pen.text((place[0] + width, y), line, TEXT, fonts.label, anchor="rm")


def _tile(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, tile: Tile, corner, size, fonts: Fonts
) -> None:
    x, y = corner
    if tile.picture:
        sheet.paste(tile.picture.resize(size, Image.Resampling.BICUBIC), corner)
    else:
        pen.rectangle((x, y, x + size[0] - 1, y + size[1] - 1), outline=FRAME)
    if tile.best:
        pen.rectangle((x - 3, y - 3, x + size[0] + 2, y + size[1] + 2), outline=BEST, width=3)
    place = (x + size[0] / 2, y + size[1] + 6 + fonts.caption_height / 2)
    caption = _cut(tile.caption, fonts.caption, size[0])
    pen.text(place, caption, BEST if tile.best else FAINT, fonts.caption, anchor="mm")


# Dark to light like heat, in steps that stay apart without colour too (as "inferno" does).
_HEAT = ((0.00, 0.00, 0.02), (0.26, 0.04, 0.41), (0.58, 0.15, 0.40), (0.87, 0.32, 0.23),
         (0.99, 0.65, 0.04), (0.99, 1.00, 0.64))  # fmt: skip


def heat(maps: Tensor) -> Tensor:
    """Colours (n, 3, s, s) in [0, 1] of maps (n, s, s) from 0 to 1."""
    colours = torch.tensor(_HEAT)
    place = maps.clamp(0, 1) * (len(colours) - 1)
    low = place.floor().long().clamp(max=len(colours) - 2)
    part = (place - low).unsqueeze(-1)
    return ((1 - part) * colours[low] + part * colours[low + 1]).movedim(-1, 1)
