"""The demo world: procedurally drawn 64x64 scenes, each fully described by eight attributes.

One shaded object casts a soft shadow on a coloured, patterned background; the whole scene is bright
or dark, sharp or blurred. Shapes are signed distance functions, so every edge is anti-aliased.
Axes: n scenes, 3 colour channels, h = w = 64 pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import python_numbers
from .shapes import signed_distance

IMAGE_SIZE = 64

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "shape": ("circle", "square", "triangle", "star", "heart", "cross", "ring", "moon"),
    "colour": ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink"),
    "size": ("small", "large"),
    "position": ("left", "middle", "right"),
    "background": ("sand", "sky", "mint", "rose", "lavender", "gray", "navy", "olive"),
    "pattern": ("plain", "striped", "dotted", "checked"),
    "light": ("bright", "dark"),
    "focus": ("sharp", "blurred"),
}

_OBJECT_RGB = (
    (0.89, 0.13, 0.16),
    (0.98, 0.52, 0.08),
    (0.99, 0.86, 0.12),
    (0.16, 0.68, 0.25),
    (0.10, 0.82, 0.86),
    (0.13, 0.30, 0.92),
    (0.55, 0.18, 0.78),
    (1.00, 0.40, 0.72),
)
_BACKGROUND_RGB = (
    (0.87, 0.79, 0.62),
    (0.62, 0.79, 0.93),
    (0.67, 0.90, 0.76),
    (0.92, 0.70, 0.70),
    (0.78, 0.72, 0.91),
    (0.68, 0.68, 0.69),
    (0.24, 0.29, 0.47),
    (0.47, 0.48, 0.27),
)
_RADIUS = (0.28, 0.44)  # half the object's size; the image spans -1..1
_CENTRE_X = (-0.46, 0.0, 0.46)
_PATTERN_CONTRAST = 0.24
_DARKNESS = 0.42
_BLUR_SIGMA = 1.7  # pixels


@dataclass(frozen=True)
class Attributes:
    """What `n` scenes show.

    Args:
        indices: (n, 8) int64; column k indexes the values of the k-th entry of `ATTRIBUTES`.
    """

    indices: Tensor

    def __len__(self) -> int:
        return self.indices.shape[0]

    def names(self) -> list[dict[str, str]]:
        """One `{"shape": "star", ...}` for each scene."""
        return [
            {name: values[i] for (name, values), i in zip(ATTRIBUTES.items(), row, strict=True)}
            for row in self.indices.tolist()
        ]

    @classmethod
    def from_names(cls, scenes: Iterable[Mapping[str, str]]) -> Attributes:
        """Attributes from names; every scene must give all eight.

        Raises:
            ValueError: an attribute is missing or has an unknown value.
        """
        rows = [[_index(name, scene.get(name)) for name in ATTRIBUTES] for scene in scenes]
        return cls(torch.tensor(rows, dtype=torch.int64).reshape(-1, len(ATTRIBUTES)))

    def replace(self, **values: str) -> Attributes:
        """A copy in which every scene has the given values, such as `shape="star"`."""
        indices = self.indices.clone()
        for name, value in values.items():
            indices[:, list(ATTRIBUTES).index(name)] = _index(name, value)
        return Attributes(indices)


def _index(name: str, value: str | None) -> int:
    if value not in ATTRIBUTES[name]:
        known = ", ".join(ATTRIBUTES[name])
        raise ValueError(f"{name} is {value!r}; choose one of: {known}.")
    return ATTRIBUTES[name].index(value)


@python_numbers
def sample(n: int, seed: int = 0) -> Attributes:
    """Attributes of `n` scenes, every value equally likely, drawn from `seed`."""
    return sample_attributes(n, torch.Generator().manual_seed(seed))


def sample_attributes(n: int, generator: torch.Generator) -> Attributes:
    """As `sample`, from a generator that advances (for training)."""
    columns = [torch.randint(len(v), (n,), generator=generator) for v in ATTRIBUTES.values()]
    return Attributes(torch.stack(columns, dim=1))


@python_numbers
def render(attributes: Attributes, seed: int = 0) -> Tensor:
    """Images (n, 3, 64, 64) in [0, 1] of the scenes.

    `seed` draws what the attributes leave open: exact place, scale, tilt and tint.
    """
    return render_scenes(attributes, torch.Generator().manual_seed(seed))


def render_scenes(
    attributes: Attributes,
    generator: torch.Generator,
    objects: tuple[Attributes, ...] | None = None,
) -> Tensor:
    """As `render`, from a generator that advances (for training).

    Args:
        objects: what is drawn on each background instead of the scene's own object; none or two
            objects make images that are no valid scenes.
    """
    light, focus = attributes.indices[:, 6:].unbind(1)
    n = len(attributes)
    jitter = _jitter(n, generator)
    images = _background(attributes) * (1 + 0.03 * jitter[:, 4].view(n, 1, 1, 1))
    for drawn in (attributes,) if objects is None else objects:
        images = _draw(images, drawn, jitter)
        jitter = _jitter(n, generator) if objects else jitter
    images = torch.where((focus == 1).view(n, 1, 1, 1), _blur(images), images)
    dark = _DARKNESS * torch.tensor((0.88, 0.94, 1.12)).view(1, 3, 1, 1)
    return torch.where((light == 1).view(n, 1, 1, 1), images * dark, images).clamp(0, 1)


def _jitter(n: int, generator: torch.Generator) -> Tensor:
    return torch.rand(n, 8, generator=generator) * 2 - 1


def _draw(images: Tensor, attributes: Attributes, jitter: Tensor) -> Tensor:
    """Images (n, 3, h, w) with the objects of `attributes` and their shadows drawn in."""
    shape, colour, size, position = attributes.indices[:, :4].unbind(1)
    n = images.shape[0]
    radius = torch.tensor(_RADIUS)[size] * (1 + 0.06 * jitter[:, 0])
    centre = torch.stack(
        [torch.tensor(_CENTRE_X)[position] + 0.05 * jitter[:, 1], 0.14 * jitter[:, 2]], dim=1
    )
    angle = math.radians(9) * jitter[:, 3]
    points = _grid()  # (h, w, 2)
    pixel = 2 / IMAGE_SIZE

    shadow = _distance(shape, points - 0.075, centre, radius, angle)
    images = images * (1 - 0.34 * torch.sigmoid(-shadow / (1.1 * pixel)).unsqueeze(1))

    distance = _distance(shape, points, centre, radius, angle)  # (n, h, w)
    height = (points[..., 1] - centre[:, 1].view(n, 1, 1)) / radius.view(n, 1, 1)
    glow = 1.06 - 0.13 * height - 0.22 * ((distance / pixel + 2.0) / 2.0).clamp(0, 1)
    rgb = torch.tensor(_OBJECT_RGB)[colour] * (1 + 0.04 * jitter[:, 5:8])
    coverage = (0.5 - distance / pixel).clamp(0, 1).unsqueeze(1)
    return images * (1 - coverage) + coverage * rgb.view(n, 3, 1, 1) * glow.unsqueeze(1)


def _distance(shape, points, centre, radius, angle) -> Tensor:
    """Signed distance (n, h, w) from each pixel to each scene's object, in image units."""
    n = shape.shape[0]
    moved = (points.unsqueeze(0) - centre.view(n, 1, 1, 2)) / radius.view(n, 1, 1, 1)
    cos, sin = angle.cos().view(n, 1, 1), angle.sin().view(n, 1, 1)
    x = cos * moved[..., 0] + sin * moved[..., 1]
    y = cos * moved[..., 1] - sin * moved[..., 0]
    distance = torch.empty_like(x)
    for index, name in enumerate(ATTRIBUTES["shape"]):
        rows = (shape == index).nonzero().flatten()
        if len(rows):
            distance[rows] = signed_distance(name, x[rows], y[rows])
    return distance * radius.view(n, 1, 1)


def _background(attributes: Attributes) -> Tensor:
    """Background images (n, 3, h, w): colour, a soft light from above, and the pattern."""
    rgb = torch.tensor(_BACKGROUND_RGB)[attributes.indices[:, 4]]
    texture = _patterns()[attributes.indices[:, 5]]  # (n, h, w)
    falloff = 1.05 - 0.09 * _grid()[..., 1]
    return rgb.view(-1, 3, 1, 1) * (texture * falloff).unsqueeze(1)


def _patterns() -> Tensor:
    """Brightness (4, h, w) of plain, striped, dotted and checked backgrounds, all 16 px wide."""
    pixels = torch.arange(IMAGE_SIZE) + 0.5
    wave = (pixels * 2 * math.pi / 16).sin()  # period 16 px
    soft = lambda field: (0.5 + field).clamp(0, 1)  # noqa: E731
    stripes = soft(wave * 1.6).view(-1, 1).expand(-1, IMAGE_SIZE)
    checks = soft(wave.view(-1, 1) * wave * 2.5)
    place = (pixels % 16) - 8
    dots = soft(4.6 - (place.view(-1, 1) ** 2 + place**2).sqrt())
    ink = torch.stack([torch.zeros_like(checks), stripes, dots, checks])
    return 1 - _PATTERN_CONTRAST * ink


def _grid() -> Tensor:
    axis = (torch.arange(IMAGE_SIZE) + 0.5) * (2 / IMAGE_SIZE) - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x, y], dim=-1)


def _blur(images: Tensor) -> Tensor:
    """Gaussian blur as two small matrix products (edges repeat)."""
    pixels = torch.arange(IMAGE_SIZE)
    reach = torch.arange(-6, 7)
    weight = torch.exp(-0.5 * (reach / _BLUR_SIGMA) ** 2)
    weight = weight / weight.sum()
    matrix = torch.zeros(IMAGE_SIZE, IMAGE_SIZE)
    source = (pixels.view(-1, 1) + reach).clamp(0, IMAGE_SIZE - 1)
    matrix.scatter_add_(1, source, weight.expand(IMAGE_SIZE, -1).contiguous())
    return matrix @ images @ matrix.T
