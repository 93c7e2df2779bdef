"""The camera, and empty scenes: floor and sky without an object.

The camera never moves, so each combination of floor, backdrop and light is drawn once and kept.
World: x to the right, y up from the floor, z away from the camera. Directions have unit length.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

import torch
from torch import Tensor

from .floors import FLOORS, Floor
from .light import LIGHTS, Light, backdrop, sky, vector

IMAGE_SIZE = 128
CAMERA = (0.0, 2.15, -7.4)
FOCAL = 3.5  # of a picture that spans -1..1
HORIZON = 0.42  # its height in the picture
SAMPLES = 4  # of the scenery, for each pixel and axis
HAZE = 65.0  # distance over which a floor fades into the horizon


@dataclass(frozen=True)
class Scenery:
    """Linear images (3, h, w) of an empty scene: lit by the sky, by the sun, and what is added.

    The picture is `ambient + sun + constant`; an object's shadow dims `sun`, its closeness
    `ambient`. `mirror` (h, w) is the share of the mirror image in a glossy floor, whose sky is in
    `constant` already; `reflected` (3, h, w) is that sky.
    """

    ambient: Tensor
    sun: Tensor
    constant: Tensor
    mirror: Tensor
    reflected: Tensor

    @classmethod
    def stacked(cls, parts: list[Scenery]) -> Scenery:
        """Several scenes in one, along a first axis n."""
        return cls(*(torch.stack([getattr(p, f.name) for p in parts]) for f in fields(cls)))


def directions(samples: int) -> tuple[Tensor, Tensor, Tensor]:
    """View directions (h * samples, w * samples) of x, y and z."""
    axis = (torch.arange(IMAGE_SIZE * samples) + 0.5) * (2 / (IMAGE_SIZE * samples)) - 1
    v, u = torch.meshgrid(-axis - HORIZON, axis, indexing="ij")
    scale = (u * u + v * v + FOCAL**2).rsqrt()
    return u * scale, v * scale, FOCAL * scale


@cache
def scenery(floor: str, sight: str, light: str) -> Scenery:
    """The empty scene of these names."""
    with torch.inference_mode(False), torch.no_grad():
        x, y, z = directions(SAMPLES)
        above = (y > 0).unsqueeze(-1)
        far = backdrop(sight, LIGHTS[light], x, y, z)
        parts = _floor_light(FLOORS[floor], LIGHTS[light], x, y, z)
        zero = torch.zeros(())
        ambient, sun, constant, mirror, reflected = (
            _shrunk(torch.where(above, other, part))
            for part, other in zip(parts, (zero, zero, far, zero, zero), strict=True)
        )
    return Scenery(ambient, sun, constant, mirror[0], reflected)


def _shrunk(image: Tensor) -> Tensor:
    image = image.permute(2, 0, 1).unsqueeze(0)
    return torch.nn.functional.avg_pool2d(image, SAMPLES)[0].contiguous()


def _floor_light(floor: Floor, light: Light, x: Tensor, y: Tensor, z: Tensor):
    """Ambient, sun, constant and reflected light (h, w, 3) and mirror share (h, w, 1)."""
    distance = CAMERA[1] / -y.clamp(max=-1e-4)
    albedo, slope_x, slope_z = floor.pattern(x * distance, CAMERA[2] + z * distance)
    sun_x, sun_y, sun_z = light.sun
    facing = (sun_y - slope_x * sun_x - slope_z * sun_z).clamp(min=0)
    facing = facing * (1 + slope_x**2 + slope_z**2).rsqrt()
    share = floor.gloss * (0.10 + 0.90 * (1 + y.clamp(max=0)) ** 5)
    clear = torch.exp(-((distance / HAZE) ** 1.5))
    reflected = sky(light, x, -y, z) * clear.unsqueeze(-1)
    rest = (clear * (1 - share)).unsqueeze(-1)
    share = share.unsqueeze(-1)
    haze = sky(light, x, torch.zeros_like(y), z) * (1 - clear).unsqueeze(-1)
    ambient = albedo * vector(light.skylight) * rest
    sun = albedo * vector(light.sunshine) * facing.unsqueeze(-1) * rest
    return ambient, sun, haze + share * reflected, share * clear.unsqueeze(-1), reflected
