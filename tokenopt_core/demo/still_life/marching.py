"""Rays and the solids they meet, in a solid's own frame of unit size.

Rays are flat lists (k,): x, y and z apart, which elementwise operations read fastest.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .solids import Solid

Point = tuple[Tensor, Tensor, Tensor]

STEPS = 22
SHADOW_STEPS = 14


def along(origin: Point, direction: Point, t: Tensor) -> Point:
    """The points at distance `t` of rays."""
    x, y, z = (torch.addcmul(o, d, t) for o, d in zip(origin, direction, strict=True))
    return x, y, z


def dot(a: Point, b: Point) -> Tensor:
    return torch.addcmul(torch.addcmul(a[0] * b[0], a[1], b[1]), a[2], b[2])


def march(solid: Solid, origin: Point, direction: Point) -> tuple[Tensor, Tensor]:
    """Where rays come closest to the solid: distance along the ray, and from the surface (k,)."""
    to_middle = (-origin[0], solid.middle - origin[1], -origin[2])
    nearest = dot(to_middle, direction)
    missed = dot(to_middle, to_middle) - nearest.square()
    reach = (solid.radius**2 - missed).clamp_(min=0).sqrt_()
    t, end = nearest - reach, nearest + reach
    best, best_t = torch.full_like(t, 9.0), t.clone()
    for _ in range(STEPS):
        distance = solid.distance(*along(origin, direction, t))
        closer = (distance < best) & (t <= end)
        best = torch.where(closer, distance, best)
        best_t = torch.where(closer, t, best_t)
        t = t + distance
    return best_t, best


def normals(solid: Solid, point: Point) -> Point:
    """Unit normals (k,) at points of the surface, by differences along a tetrahedron."""
    step = 0.022
    x = y = z = torch.zeros_like(point[0])
    for a, b, c in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)):
        value = solid.distance(point[0] + a * step, point[1] + b * step, point[2] + c * step)
        x, y, z = x + a * value, y + b * value, z + c * value
    scale = (x * x + y * y + z * z + 1e-12).rsqrt_()
    return x * scale, y * scale, z * scale


def sunlit(solid: Solid, origin: Point, sun: Point, spread: float | Tensor, first: float) -> Tensor:
    """How much of the sun (k,), 0..1, is seen from points; shadows soften with distance.

    Args:
        spread: half the sun's width for each unit of distance.
        first: distance at which to begin.
    """
    to_middle = (-origin[0], solid.middle - origin[1], -origin[2])
    nearest = dot(to_middle, sun)
    reach = solid.radius + spread * nearest.clamp(min=0)
    missed = dot(to_middle, to_middle) - nearest.square()
    half = (reach.square() - missed).clamp_(min=0).sqrt_()
    t, end = (nearest - half).clamp_(min=first), nearest + half
    seen = torch.ones_like(t)
    for _ in range(SHADOW_STEPS):
        distance = solid.distance(*along(origin, sun, t))
        width = spread * t
        seen = torch.where(t <= end, torch.minimum(seen, distance / width), seen)
        t = t + torch.maximum(distance.abs(), 0.5 * width).clamp_(min=0.03)
    seen = 0.5 + 0.5 * seen.clamp_(-1, 1)
    return seen * seen * (3 - 2 * seen)
