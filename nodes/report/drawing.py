"""The canvas of charts and its colours: lines, areas, dots and text, drawn larger and reduced.

The reduction makes them smooth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from .words import cut

SCALE = 2
PAPER, GRID, TEXT, FAINT = (37, 39, 43), (62, 65, 71), (234, 234, 230), (163, 165, 168)
BEST = (64, 214, 164)
# The palette of Okabe and Ito, which colour-blind people can tell apart; lightened for a dark page.
COLOURS = (
    (86, 180, 233),
    (240, 170, 40),
    (40, 196, 148),
    (255, 128, 80),
    (214, 136, 180),
    (240, 228, 90),
)

Point = tuple[float, float]
Colour = tuple[int, ...]  # red, green, blue and, if there are four, opacity


class Canvas:
    """An image of `width` x `height` pixels to draw on; all lengths are in these pixels."""

    def __init__(self, width: int, height: int):
        self._image = Image.new("RGB", (width * SCALE, height * SCALE), PAPER)
        self._draw = ImageDraw.Draw(self._image, "RGBA")

    def finish(self) -> Image.Image:
        """The image."""
        return self._image.reduce(SCALE)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """Straight lines from point to point."""
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self._draw.line(scaled, colour, round(width * SCALE), joint="curve")

    def area(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled polygon."""
        self._draw.polygon([(x * SCALE, y * SCALE) for x, y in points], colour)

    def dot(self, point: Point, colour: Colour, radius: float) -> None:
        """A filled circle with a thin rim, which sets it off from lines."""
        x, y, r = (length * SCALE for length in (*point, radius))
        self._draw.ellipse((x - r, y - r, x + r, y + r), colour, PAPER, SCALE)

    def curve(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A line through the points, interrupted where one is not finite."""
        piece: list[Point] = []
        for point in [*points, (math.nan, math.nan)]:
            if math.isfinite(point[1]):
                piece.append(point)
                continue
            if len(piece) > 1:
                self.line(piece, colour, width)
            elif piece:
                self.dot(piece[0], colour, 2 * width)
            piece = []

    def text(
        self,
        point: Point,
        text: str,
        size: int,
        colour: Colour,
        anchor: str,
        room: float = math.inf,
    ) -> float:
        """Writes one line, cut to `room`; returns how long it has become."""
        font = ImageFont.load_default(size * SCALE)
        shown = cut(text, room * SCALE, font.getlength)
        x, y = (length * SCALE for length in point)
        self._draw.text((x, y), shown, colour, font, anchor=anchor)
        return font.getlength(shown) / SCALE
