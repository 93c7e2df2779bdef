"""Lines and letters on a PIL picture, drawn larger than it will be, which makes them smooth."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw, ImageFont

SCALE = 2


class Pen:
    """Draws in units of the finished picture, of `width` and `height`."""

    def __init__(self, width: int, height: int, paper: tuple[int, int, int]):
        self._paper = paper
        self._image = Image.new("RGB", (width * SCALE, height * SCALE), paper)
        self._draw = ImageDraw.Draw(self._image, "RGBA")

    def finish(self) -> Image.Image:
        """The picture."""
        return self._image.reduce(SCALE)

    def line(self, points, colour, width: float) -> None:
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self._draw.line(scaled, colour, round(width * SCALE), joint="curve")

    def area(self, points, colour) -> None:
        self._draw.polygon([(x * SCALE, y * SCALE) for x, y in points], colour)

    def dot(self, point, colour, radius: float) -> None:
        x, y = point[0] * SCALE, point[1] * SCALE
        reach = radius * SCALE
        self._draw.ellipse((x - reach, y - reach, x + reach, y + reach), colour, self._paper, SCALE)

    def curve(self, points, colour, width: float) -> None:
        """A line through the points, interrupted where one is not finite."""
        piece: list = []
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
        self, point, text: str, size: int, colour, anchor: str, room: float = 0, turned=False
    ) -> None:
        """One line, cut to `room` if given; turned reads from bottom to top, centred."""
        font = ImageFont.load_default(size * SCALE)
        x, y = point[0] * SCALE, point[1] * SCALE
        if room:
            whole = text
            while text and self._draw.textlength(text, font) > room * SCALE:
                text = text[:-1]
            text = text if text == whole else text[:-3] + "..."
        if not turned:
            self._draw.text((x, y), text, colour, font, anchor=anchor)
            return
        width, height = round(self._draw.textlength(text, font)) + 4, size * SCALE + 8
        label = Image.new("L", (width, height))
        ImageDraw.Draw(label).text((width / 2, height / 2), text, 255, font, anchor="mm")
        label = label.rotate(90, expand=True)
        corner = (round(x - label.width / 2), round(y - label.height / 2))
        self._draw.bitmap(corner, label, colour)
