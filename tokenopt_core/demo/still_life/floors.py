"""The floors: patterns over the plane, x to the right and z away from the camera, linear light."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .light import linear, vector, wave


def _sand(x: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    bend = 0.5 * wave(x * 0.45, z * 0.45, 1.0)
    phase = 4.6 * (z + 0.25 * x + bend)
    tilt = 0.24 * torch.cos(phase) * (0.75 + 0.25 * wave(x * 0.8, z * 0.6, 3.0))
    shade = 1 + 0.035 * wave(x * 0.5, z * 0.5, 5.0)
    return vector(linear("efcf96")) * shade.unsqueeze(-1), 0.25 * tilt, tilt


def _snow(x: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    tilt = 0.11 * wave(x * 0.5 + 3, z * 0.42, 2.0)
    other = 0.13 * wave(x * 0.42, z * 0.5 + 7, 4.0)
    return vector(linear("f3f5fa")).expand(*x.shape, 3), tilt, other


def _tiles(x: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    across, along = (x + 0.55) / 1.25, (z + 0.1) / 1.25
    odd = (across.floor() + along.floor()).remainder(2).unsqueeze(-1)
    vein = (1 - (wave(x * 1.1, z * 1.1, 6.0).abs() / 0.16).clamp(max=1)).unsqueeze(-1)
    light = vector(linear("f2ece2")) * (1 - 0.10 * vein)
    dark = vector(linear("6c8098")) * (1 + 0.14 * vein)
    gap = torch.minimum(_gap(across), _gap(along)) * 1.25
    joint = (gap < 0.014).unsqueeze(-1)
    colour = torch.where(joint, vector(linear("9a9a9c")), torch.lerp(light, dark, odd))
    return colour, torch.zeros_like(x), torch.zeros_like(x)


def _planks(x: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    width, length = 0.62, 5.5
    across = (x + 0.31) / width
    board = across.floor()
    along = z / length + board * 0.381966 % 1
    piece = board * 7.13 + along.floor() * 3.71
    tone = torch.sin(piece * 12.9898) * 0.5 + 0.5
    grain = wave(x * 5 + piece, z * 0.35 + piece * 2, 2.0)
    colour = torch.lerp(vector(linear("b9804a")), vector(linear("d9a56a")), tone.unsqueeze(-1)) * (
        1 + 0.045 * grain
    ).unsqueeze(-1)
    joint = (_gap(across) * width < 0.016) | (_gap(along) * length < 0.02)
    colour = torch.where(joint.unsqueeze(-1), vector(linear("5e3a20")), colour)
    return colour, torch.zeros_like(x), torch.zeros_like(x)


def _gap(x: Tensor) -> Tensor:
    """Distance to the nearest whole number."""
    return (x - x.round()).abs()


@dataclass(frozen=True)
class Floor:
    """A floor's pattern (albedo, and the slopes of its surface along x and z) at points x, z."""

    pattern: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
    average: tuple[float, float, float]
    gloss: float = 0.0  # share of the mirror image at grazing angles


FLOORS = {
    "sand": Floor(_sand, linear("efcf96")),
    "snow": Floor(_snow, linear("f3f5fa")),
    "tiles": Floor(_tiles, linear("b5b9be"), gloss=0.8),
    "planks": Floor(_planks, linear("c9935a"), gloss=0.35),
}
