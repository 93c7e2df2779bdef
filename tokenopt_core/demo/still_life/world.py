"""The demo world: rendered still lifes of 128 x 128 pixels, each described by nine attributes.

One solid stands on a floor under a sky, in daylight or in the evening. Solids are signed distance
functions, met by rays in a few dozen steps; light is added up linearly and exposed at the end, so
shadows are soft, edges smooth and highlights round. Axes: n scenes, 3 colour channels, h = w = 128
pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...checks import python_numbers
from .drawing import Objects, draw
from .floors import FLOORS
from .light import LIGHTS, linear
from .scenery import IMAGE_SIZE, Scenery, scenery
from .solids import SOLIDS

_COLOURS = {
    "red": "d81e2c",
    "orange": "f5780a",
    "yellow": "fbd21a",
    "green": "2f9e3f",
    "teal": "12aba6",
    "blue": "1f56d8",
    "purple": "6f2fb5",
    "pink": "f778ac",
}
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "shape": tuple(SOLIDS),
    "colour": tuple(_COLOURS),
    "material": ("matt", "shiny"),
    "size": ("small", "large"),
    "place": ("left", "middle", "right"),
    "floor": tuple(FLOORS),
    "backdrop": ("clear", "clouds", "hills"),
    "light": tuple(LIGHTS),
    "focus": ("sharp", "blurred"),
}
_SCALE = (0.54, 0.88)  # small, large
_PLACE_X = (-1.0, 0.0, 1.0)
_BLUR_SIGMA = 1.7  # pixels
_EXPOSURE = 1.45
_SATURATION = 1.08
_CHUNK = 8  # scenes that are drawn at once: more do not fit into a processor's cache


@dataclass(frozen=True)
class Attributes:
    """What `n` scenes show.

    Args:
        indices: (n, 9) int64; column k indexes the values of the k-th entry of `ATTRIBUTES`.
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

    def column(self, name: str) -> Tensor:
        """(n,) int64 indices of one attribute."""
        return self.indices[:, list(ATTRIBUTES).index(name)]

    @classmethod
    def from_names(cls, scenes: Iterable[Mapping[str, str]]) -> Attributes:
        """Attributes from names; every scene must give all nine.

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
    """Images (n, 3, 128, 128) in [0, 1] of the scenes.

    `seed` draws what the attributes leave open: exact place, scale, turn and tint.
    """
    return render_scenes(attributes, torch.Generator().manual_seed(seed))


@torch.no_grad()
def render_scenes(attributes: Attributes, generator: torch.Generator) -> Tensor:
    """As `render`, from a generator that advances (for training)."""
    jitter = torch.rand(len(attributes), 8, generator=generator) * 2 - 1
    shape, size = attributes.column("shape"), attributes.column("size")
    order = (shape * len(_SCALE) + size).argsort(stable=True)
    images = torch.empty(len(attributes), 3, IMAGE_SIZE, IMAGE_SIZE)
    for index, solid in enumerate(SOLIDS.values()):
        chosen = order[shape[order] == index]
        for rows in chosen.split(_CHUNK) if len(chosen) else ():
            scenes = Attributes(attributes.indices[rows])
            drawn = draw(solid, _objects(scenes, jitter[rows], solid.turn), _empty(scenes))
            images[rows] = _developed(drawn, scenes)
    return images


def _objects(scenes: Attributes, jitter: Tensor, turn: tuple[float, float]) -> Objects:
    colours = torch.tensor([linear(colour) for colour in _COLOURS.values()])
    least, most = (math.radians(angle) for angle in turn)
    return Objects(
        x=torch.tensor(_PLACE_X)[scenes.column("place")] + 0.07 * jitter[:, 0],
        z=0.25 * jitter[:, 1],
        scale=torch.tensor(_SCALE)[scenes.column("size")] * (1 + 0.05 * jitter[:, 2]),
        turn=least + (most - least) * (0.5 + 0.5 * jitter[:, 3]),
        colour=colours[scenes.column("colour")] * (1 + 0.07 * jitter[:, 4:7]),
        shiny=scenes.column("material") == 1,
        floor=scenes.column("floor"),
        light=scenes.column("light"),
    )


def _empty(scenes: Attributes) -> Scenery:
    parts = [scenery(scene["floor"], scene["backdrop"], scene["light"]) for scene in scenes.names()]
    return Scenery.stacked(parts)


def _developed(light: Tensor, scenes: Attributes) -> Tensor:
    """Images in [0, 1] from linear light (n, 3, h, w): focus, exposure, contrast, saturation."""
    blurred = (scenes.column("focus") == 1).nonzero().flatten()
    light[blurred] = _blur(light[blurred])
    exposed = 1 - torch.exp(-_EXPOSURE * light.clamp(min=0))
    shown = torch.where(
        exposed <= 0.0031308, 12.92 * exposed, 1.055 * exposed.clamp(min=1e-4) ** (1 / 2.4) - 0.055
    )
    shown = torch.lerp(shown, shown * shown * (3 - 2 * shown), 0.35)
    gray = shown.mean(dim=1, keepdim=True)
    return torch.lerp(gray, shown, _SATURATION).clamp(0, 1)


def _blur(images: Tensor) -> Tensor:
    """Gaussian blur as two small matrix products (edges repeat)."""
    pixels = torch.arange(IMAGE_SIZE)
    reach = torch.arange(-7, 8)
    weight = torch.exp(-0.5 * (reach / _BLUR_SIGMA) ** 2)
    weight = weight / weight.sum()
    matrix = torch.zeros(IMAGE_SIZE, IMAGE_SIZE)
    source = (pixels.view(-1, 1) + reach).clamp(0, IMAGE_SIZE - 1)
    matrix.scatter_add_(1, source, weight.expand(IMAGE_SIZE, -1).contiguous())
    return matrix @ images @ matrix.T
