"""Signed distance functions of the solids, negative inside.

A solid stands on the floor, y = 0, and is about two units tall; y grows upwards, and z away from
the camera. Axes: any one shape of points, the same for x, y and z.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Distance = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Solid:
    """A solid's distance function, and what the renderer must know of it.

    Args:
        middle, radius: height of the centre of a sphere around the solid, and its radius.
        turn: (least, most) angle about the upright axis, in degrees.
        hollow: parts of it can shade other parts.
    """

    distance: Distance
    middle: float
    radius: float
    turn: tuple[float, float] = (0.0, 0.0)
    hollow: bool = False


def _length(x: Tensor, y: Tensor) -> Tensor:
    return torch.addcmul(x * x, y, y).sqrt_()


def _corner(x: Tensor, y: Tensor) -> Tensor:
    """Distance to the quadrant x < 0, y < 0: the rule by which a box joins its sides."""
    outside = _length(x.clamp(min=0), y.clamp(min=0))
    return outside + torch.maximum(x, y).clamp_(max=0)


def _sphere(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    y = y - 0.95
    return torch.addcmul(torch.addcmul(x * x, y, y), z, z).sqrt_() - 0.95


def _cube(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    half, edge = 0.74, 0.09
    a, b, c = x.abs() - (half - edge), (y - half).abs() - (half - edge), z.abs() - (half - edge)
    outside = a.clamp(min=0).square_()
    outside.addcmul_(b.clamp(min=0), b.clamp(min=0)).addcmul_(c.clamp(min=0), c.clamp(min=0))
    inside = torch.maximum(torch.maximum(a, b), c).clamp_(max=0)
    return outside.sqrt_() + inside - edge


def _cylinder(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    half, edge = 0.88, 0.09
    return _corner(_length(x, z) - (0.74 - edge), (y - half).abs() - (half - edge)) - edge


def _cone(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    edge, base, height = 0.06, 0.88, 2.02  # before the edge is rounded off
    across, up = _length(x, z), y - edge
    along = (across - base) * (-base / (base**2 + height**2))
    along = torch.add(along, up, alpha=height / (base**2 + height**2)).clamp_(0, 1)
    slope = _length(across - base + base * along, up - height * along)
    foot = _length((across - base).clamp(min=0), up)
    inside = (up > 0) & (across * height + up * base < base * height)
    return torch.minimum(slope, foot).mul_(torch.where(inside, -1.0, 1.0)).sub_(edge)


def _capsule(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    radius, height = 0.55, 2.05
    y = y - y.clamp(radius, height - radius)
    return torch.addcmul(torch.addcmul(x * x, y, y), z, z).sqrt_() - radius


def _ring(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return _length(_length(x, y - 0.95) - 0.66, z) - 0.29


def _star(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Five rays whose faces rise to a ridge along each ray and to the middle."""
    edge, outer, inner, rise = 0.06, 1.0, 0.44, 1.25
    y = y - 0.91
    angle = torch.atan2(x, y).remainder_(2 * math.pi / 5)
    angle = torch.minimum(angle, 2 * math.pi / 5 - angle)  # of one half of one ray
    length = _length(x, y)
    x, y = length * angle.sin(), length * angle.cos() - outer
    across, down = inner * math.sin(math.pi / 5), inner * math.cos(math.pi / 5) - outer
    along = ((x * across + y * down) / (across**2 + down**2)).clamp_(0, 1)
    flat = _length(x - across * along, y - down * along)
    flat = flat * torch.where(x * -down + y * across > 0, 1.0, -1.0)
    return torch.add(flat, z.abs(), alpha=rise) / math.hypot(1, rise) - edge


def _heart(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Two tapered capsules that meet in the tip."""
    lobe, tip, reach = 0.52, 0.1, 1.12
    slope = (lobe - tip) / reach
    wide = math.sqrt(1 - slope**2)
    across, down = 0.43 / reach, 1.034 / reach  # direction from the lobe's centre to the tip
    x, y = torch.add(x * x, 0.012).sqrt_() - 0.43, y - 1.13  # |x|, with a rounded notch
    along = -across * x - down * y
    aside = torch.addcmul((across * y - down * x).square_(), z, z).sqrt_()
    side = wide * along - slope * aside
    round_side = aside * wide + along * slope - lobe
    round_tip = _length(aside, along - reach) - tip
    result = torch.where(side < 0, _length(aside, along) - lobe, round_side)
    return torch.where(side > wide * reach, round_tip, result)


SOLIDS = {
    "sphere": Solid(_sphere, 0.95, 0.95),
    "cube": Solid(_cube, 0.74, 1.22, (24, 42)),
    "cone": Solid(_cone, 0.8, 1.3),
    "cylinder": Solid(_cylinder, 0.88, 1.13),
    "ring": Solid(_ring, 0.95, 0.95, (22, 42), hollow=True),
    "star": Solid(_star, 0.91, 1.11, (-26, -8), hollow=True),
    "heart": Solid(_heart, 0.88, 1.06, (-26, -8), hollow=True),
    "capsule": Solid(_capsule, 1.02, 1.03),
}
