"""Signed distance functions of the demo world's shapes, of about unit size, negative inside."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def signed_distance(name: str, x: Tensor, y: Tensor) -> Tensor:
    """Distance from points to the outline of shape `name`; `y` grows downwards.

    Args:
        x, y: coordinates of any one shape, in units of the object's radius.
    """
    return _SHAPES[name](x, y)


def _circle(x: Tensor, y: Tensor) -> Tensor:
    return torch.hypot(x, y) - 0.94


def _box(x: Tensor, y: Tensor, width: float, height: float) -> Tensor:
    dx, dy = x.abs() - width, y.abs() - height
    return torch.hypot(dx.clamp(min=0), dy.clamp(min=0)) + torch.maximum(dx, dy).clamp(max=0)


def _square(x: Tensor, y: Tensor) -> Tensor:
    return _box(x, y, 0.82, 0.82)


def _polygon(x: Tensor, y: Tensor, corners: list[tuple[float, float]]) -> Tensor:
    """Exact distance to a closed polygon (winding-number sign)."""
    squared = torch.full_like(x, math.inf)
    inside = torch.zeros_like(x, dtype=torch.bool)
    for (ax, ay), (bx, by) in zip(corners, corners[-1:] + corners[:-1], strict=True):
        ex, ey = bx - ax, by - ay
        wx, wy = x - ax, y - ay
        t = ((wx * ex + wy * ey) / (ex * ex + ey * ey)).clamp(0, 1)
        squared = torch.minimum(squared, (wx - ex * t) ** 2 + (wy - ey * t) ** 2)
        if ay != by:
            crosses = (y >= min(ay, by)) & (y < max(ay, by))
            inside ^= crosses & (x < ax + (y - ay) * (ex / ey))
    return squared.sqrt() * torch.where(inside, -1.0, 1.0)


def _ring_of_corners(radii: list[float], shift: float = 0.0) -> list[tuple[float, float]]:
    count = len(radii)
    angles = [-math.pi / 2 + 2 * math.pi * k / count for k in range(count)]
    return [(r * math.cos(a), r * math.sin(a) + shift) for r, a in zip(radii, angles, strict=True)]


def _triangle(x: Tensor, y: Tensor) -> Tensor:
    return _polygon(x, y, _ring_of_corners([1.14] * 3, shift=0.2))


def _star(x: Tensor, y: Tensor) -> Tensor:
    return _polygon(x, y, _ring_of_corners([1.12, 0.47] * 5, shift=0.04))


def _heart(x: Tensor, y: Tensor) -> Tensor:
    """Two round lobes above a corner: the union of two circles and a square on its tip."""
    lobe = torch.hypot(x.abs() - 0.45, y + 0.34) - 0.52
    turned_x, turned_y = (x + (y - 0.02)) * math.sqrt(0.5), ((y - 0.02) - x) * math.sqrt(0.5)
    body = _box(turned_x, turned_y, 0.64, 0.64)
    below = torch.maximum(body, -(y + 0.36))
    return torch.minimum(lobe, below)


def _cross(x: Tensor, y: Tensor) -> Tensor:
    return torch.minimum(_box(x, y, 0.96, 0.33), _box(x, y, 0.33, 0.96))


def _ring(x: Tensor, y: Tensor) -> Tensor:
    return (torch.hypot(x, y) - 0.72).abs() - 0.25


def _moon(x: Tensor, y: Tensor) -> Tensor:
    disc = torch.hypot(x, y) - 1.0
    bite = torch.hypot(x - 0.5, y + 0.12) - 0.78
    return torch.maximum(disc, -bite)


_SHAPES = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "cross": _cross,
    "ring": _ring,
    "moon": _moon,
}
