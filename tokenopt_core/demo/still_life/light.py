"""Sun, sky and what stands in it. Colours are linear light, not sRGB."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def linear(hexadecimal: str) -> tuple[float, float, float]:
    """An sRGB colour such as "e5383b" as linear light."""
    parts = [int(hexadecimal[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return r, g, b


def vector(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values)


@dataclass(frozen=True)
class Light:
    """The colours of one time of day.

    Args:
        sun: direction towards the sun.
        sunshine, skylight: irradiance on what faces the sun, and from above.
        zenith, middle, horizon: the visible sky from above to below; `glow` is added near the sun.
    """

    sun: tuple[float, float, float]
    sunshine: tuple[float, float, float]
    skylight: tuple[float, float, float]
    zenith: tuple[float, float, float]
    middle: tuple[float, float, float]
    horizon: tuple[float, float, float]
    glow: tuple[float, float, float]
    spread: float  # how much wider a shadow's edge gets with each unit of distance


def _unit(*vector: float) -> tuple[float, float, float]:
    length = sum(v * v for v in vector) ** 0.5
    x, y, z = (v / length for v in vector)
    return x, y, z


LIGHTS = {
    "day": Light(
        sun=_unit(-0.62, 0.74, -0.46),
        sunshine=(1.30, 1.19, 1.00),
        skylight=(0.27, 0.35, 0.50),
        zenith=(0.05, 0.22, 0.66),
        middle=(0.16, 0.44, 0.88),
        horizon=(0.52, 0.73, 0.92),
        glow=(0.22, 0.16, 0.06),
        spread=0.13,
    ),
    "evening": Light(
        sun=_unit(-0.86, 0.40, -0.36),
        sunshine=(1.55, 0.80, 0.38),
        skylight=(0.26, 0.20, 0.36),
        zenith=(0.07, 0.06, 0.26),
        middle=(0.36, 0.13, 0.34),
        horizon=(0.92, 0.38, 0.25),
        glow=(0.95, 0.38, 0.07),
        spread=0.11,
    ),
}


def sky(light: Light, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Radiance (..., 3) from directions above the horizon, without clouds and hills."""
    height = y.clamp(min=0).unsqueeze(-1)
    low = torch.exp(-height / 0.055)
    high = 1 - torch.exp(-height / 0.16)
    colour = torch.lerp(vector(light.middle), vector(light.zenith), high)
    colour = torch.lerp(colour, vector(light.horizon), low)
    side = torch.atan2(x, z.abs() + 0.3).unsqueeze(-1) + 0.22  # the sun is behind; its glow is seen
    glow = torch.exp(-(side**2) / 0.05 - height / 0.06)
    return colour + glow * vector(light.glow)


def backdrop(name: str, light: Light, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """The sky (h, w, 3) with what stands in it."""
    colour = sky(light, x, y, z)
    side, height = x / z, y / z
    if name == "clouds":
        return _clouds(light, colour, side, height)
    if name == "hills":
        return _hills(light, colour, side, height)
    return colour


# Middle, base and half width of each cloud: a row of puffs on a flat base.
_CLOUDS = ((-0.18, 0.088, 0.075), (0.13, 0.05, 0.085), (0.235, 0.125, 0.06), (-0.03, 0.135, 0.045))
_PUFFS = ((-0.8, 0.16), (-0.5, 0.27), (-0.16, 0.42), (0.22, 0.34), (0.5, 0.24), (0.82, 0.14))


def _clouds(light: Light, colour: Tensor, side: Tensor, height: Tensor) -> Tensor:
    bright = vector(light.horizon) * 0.5 + vector(light.sunshine) * 0.75
    dull = vector(light.middle) * 0.45 + vector(light.horizon) * 0.45
    for number, (middle, base, half) in enumerate(_CLOUDS):
        cover, lit = torch.zeros_like(side), torch.zeros_like(side)
        for place, size in _PUFFS:
            place = place if number % 2 else -place
            a = (side - middle - place * half) / (size * half)
            b = (height - base) / (size * half)
            inside = (1 - (a**2 + (b * torch.where(b < 0, 4.0, 0.9)) ** 2)).clamp(min=0)
            soft = (1.8 * inside).clamp(max=1)
            soft = soft * soft * (3 - 2 * soft)
            lit = torch.lerp(lit, (0.25 + 0.75 * b - 0.3 * a).clamp(0, 1), soft)
            cover = cover + (1 - cover) * soft
        cloud = torch.lerp(dull, bright, lit.unsqueeze(-1))
        colour = torch.lerp(colour, cloud, (0.95 * cover).unsqueeze(-1))
    return colour


def _hills(light: Light, colour: Tensor, side: Tensor, height: Tensor) -> Tensor:
    far, near = vector(linear("5f86b0")), vector(linear("3f7a4c"))
    for albedo, top, rough, seed, haze in (
        (far, 0.056, 0.030, 1.7, 0.50),
        (0.6 * far + 0.4 * near, 0.032, 0.018, 4.4, 0.32),
        (near, 0.013, 0.010, 8.1, 0.12),
    ):
        outline = top + rough * wave(side * (6 + seed * 0.5), torch.full_like(side, seed), seed)
        lit = albedo * (vector(light.skylight) + 0.35 * vector(light.sunshine))
        lit = torch.lerp(lit, vector(light.middle), haze)
        low = torch.exp(-height / 0.015).clamp(max=1).unsqueeze(-1) * 0.3
        lit = torch.lerp(lit, vector(light.horizon), low)
        colour = torch.where((height < outline).unsqueeze(-1), lit, colour)
    return colour


def wave(x: Tensor, y: Tensor, seed: float) -> Tensor:
    """Smooth noise in about -1..1 with features of about one unit."""
    total = torch.zeros_like(x)
    for k, (a, b) in enumerate(((2.1, 1.3), (-1.4, 2.3), (2.9, -0.7), (0.8, -2.8))):
        total += torch.sin(a * x + b * y + seed * (k + 1) + 1.3 * torch.sin(b * x - a * y + seed))
    return total / 2.6
