"""Draws one object into an empty scene: its surface, its shadow and its mirror image.

Axes: n scenes with objects of one shape, h = w = 128 pixels, k rays of all scenes in one flat list.
Colours are linear light.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from .floors import FLOORS
from .light import LIGHTS, sky, vector
from .marching import Point, along, dot, march, normals, sunlit
from .scenery import CAMERA, FOCAL, IMAGE_SIZE, Scenery, directions
from .solids import Solid

PIXEL = 2 / IMAGE_SIZE / FOCAL  # width of a pixel at distance 1
SAMPLES = 2  # of an object, for each pixel and axis
FARTHEST_SHADOW = 30.0


@dataclass(frozen=True)
class Objects:
    """Where objects stand and what they are made of; every field has one row for each scene.

    Args:
        x, z: (n,) place on the floor.
        scale: (n,) half the height, about.
        turn: (n,) angle about the upright axis, in radians.
        colour: (n, 3) albedo.
        shiny: (n,) bool.
        floor, light: (n,) indices into FLOORS and LIGHTS.
    """

    x: Tensor
    z: Tensor
    scale: Tensor
    turn: Tensor
    colour: Tensor
    shiny: Tensor
    floor: Tensor
    light: Tensor

    def rows(self, rows: Tensor) -> Objects:
        """Some of the scenes."""
        return Objects(*(getattr(self, field.name)[rows] for field in fields(self)))

    def local(self, x: Tensor, y: Tensor, z: Tensor) -> Point:
        """Directions (n, ...) in the frame of each object."""
        shape = (-1, *[1] * (x.ndim - 1))
        cos, sin = self.turn.cos().view(shape), self.turn.sin().view(shape)
        return cos * x + sin * z, y, cos * z - sin * x

    def local_point(self, x: Tensor, y: Tensor, z: Tensor) -> Point:
        """Points (n, ...) in the frame of each object, in units of its scale."""
        shape = (-1, *[1] * (x.ndim - 1))
        scale = 1 / self.scale.view(shape)
        x, y, z = self.local(x - self.x.view(shape), y, z - self.z.view(shape))
        return x * scale, y * scale, z * scale

    @cached_property
    def sun(self) -> Tensor:
        """(n, 3) direction towards the sun in each object's frame."""
        direction = self.of_light("sun")
        return torch.stack(self.local(*direction.unbind(1)), dim=1)

    def of_light(self, name: str) -> Tensor:
        """(n, 3) a colour or direction of each scene's light."""
        return torch.tensor([getattr(light, name) for light in LIGHTS.values()])[self.light]

    @cached_property
    def bounced(self) -> Tensor:
        """(n, 3) light that the floor sends up."""
        floors = torch.tensor([floor.average for floor in FLOORS.values()])[self.floor]
        up = self.of_light("sunshine") * self.of_light("sun")[:, 1:2]
        return floors * (up + self.of_light("skylight"))


def draw(solid: Solid, objects: Objects, empty: Scenery) -> Tensor:
    """Images (n, 3, h, w) of the objects in their scenes.

    Args:
        empty: of the scenes, with a first axis n.
    """
    shadow, closeness, near = _floor_shade(solid, objects)
    tinted = 1 - closeness.unsqueeze(1) + 0.5 * near.unsqueeze(1) * objects.colour.view(-1, 3, 1, 1)
    images = empty.ambient * tinted + empty.sun * shadow.unsqueeze(1) + empty.constant
    if any(FLOORS[name].gloss for i, name in enumerate(FLOORS) if (objects.floor == i).any()):
        colour, cover = _seen(solid, objects, 1, mirrored=True)
        share = empty.mirror.unsqueeze(1)
        images += share * (colour - cover.unsqueeze(1) * empty.reflected)
    colour, cover = _seen(solid, objects, SAMPLES, mirrored=False)
    return images * (1 - cover.unsqueeze(1)) + colour


@lru_cache(maxsize=4)
def _rays(samples: int) -> Tensor:
    """View directions (3, h * w, samples ** 2) grouped by pixel."""
    with torch.inference_mode(False):
        parts = torch.stack(directions(samples))
        parts = parts.unflatten(2, (IMAGE_SIZE, samples)).unflatten(1, (IMAGE_SIZE, samples))
        return parts.transpose(2, 3).reshape(3, IMAGE_SIZE**2, samples**2)


def _seen(solid: Solid, objects: Objects, samples: int, mirrored: bool) -> tuple[Tensor, Tensor]:
    """Colour (n, 3, h, w) times cover, and cover (n, h, w), of the objects as the camera sees
    them, or as it sees them in the floor."""
    upright = -1.0 if mirrored else 1.0
    scenes, pixels = _hit_pixels(solid, objects, upright)
    rays = _rays(samples)[:, pixels]  # (3, pixels, samples ** 2)
    chosen = scenes.repeat_interleave(samples**2)
    of = objects.rows(chosen)
    x, y, z = (part.flatten() for part in rays)
    direction = of.local(x, upright * y, z)
    eye = vector((CAMERA[0], upright * CAMERA[1], CAMERA[2])).expand(len(objects.x), 3).unbind(1)
    origin = tuple(part[chosen] for part in objects.local_point(*eye))
    t, distance = march(solid, origin, direction)
    cover = (1 - distance / (t * (PIXEL / samples))).clamp_(0, 1)
    if mirrored:
        cover = cover * (y < 0)
    hit = cover.nonzero().flatten()
    direction = tuple(part[hit] for part in direction)
    point = along(tuple(part[hit] for part in origin), direction, t[hit])
    colour = _surface(solid, objects, chosen[hit], point, direction)
    if mirrored:  # a floor is no perfect mirror: what is higher is fainter
        cover[hit] *= torch.exp(-0.9 * point[1].clamp(min=0))
    place = (scenes * IMAGE_SIZE**2 + pixels).repeat_interleave(samples**2)
    total = torch.zeros(len(objects.x) * IMAGE_SIZE**2, 4)
    weight = (cover[hit] / samples**2).unsqueeze(1)
    total.index_add_(0, place[hit], torch.cat([colour * weight, weight], dim=1))
    total = total.view(-1, IMAGE_SIZE, IMAGE_SIZE, 4).permute(0, 3, 1, 2)
    return total[:, :3], total[:, 3]


def _hit_pixels(solid: Solid, objects: Objects, upright: float) -> tuple[Tensor, Tensor]:
    """Scene and pixel (k,) of all rays that pass the sphere around the object."""
    centre = torch.stack([objects.x, upright * solid.middle * objects.scale, objects.z], dim=1)
    centre = centre - vector(CAMERA)
    nearest = centre @ _rays(1)[..., 0]  # (n, h * w)
    missed = centre.square().sum(1, keepdim=True) - nearest.square()
    reach = (solid.radius * objects.scale + 1.5 * PIXEL * centre.norm(dim=1)).square()
    return (missed < reach.unsqueeze(1)).nonzero().unbind(1)


def _surface(solid: Solid, objects: Objects, scene: Tensor, point: Point, view: Point) -> Tensor:
    """Light (k, 3) from points of the surface towards the camera.

    Diffuse light of sun, sky and floor; a shiny surface mirrors sky and floor as well, more at
    grazing angles, and the sun as a soft round highlight.
    """
    normal = normals(solid, point)
    sun = objects.sun[scene].unbind(1)
    facing = dot(normal, sun)
    direct = (facing * 1.06 - 0.02).clamp_(0, 1)
    open_sky, open_floor = _openness(solid, point, normal)
    if solid.hollow:
        lifted = along(point, normal, torch.full_like(facing, 0.03))
        direct = direct * sunlit(solid, lifted, sun, 0.12, 0.03)
    shiny = objects.shiny[scene]
    low = ((1 - normal[1]) * 0.5 * open_floor).unsqueeze(1)
    high = ((1 + normal[1]) * 0.5 * open_sky).unsqueeze(1)
    bounced, sunshine = objects.bounced[scene], objects.of_light("sunshine")[scene]
    light = direct.unsqueeze(1) * sunshine + high * objects.of_light("skylight")[scene]
    light = light + 0.55 * low * bounced
    colour = objects.colour[scene] * light
    angle = -dot(normal, view)
    fresnel = (1 - angle.clamp(0, 1)) ** 5
    bright = _mirrored(objects, scene, normal, view, angle, bounced, open_floor)
    share = torch.where(shiny, 0.05 + 0.75 * fresnel, 0.10 * fresnel) * open_sky
    colour = colour * (1 - share.unsqueeze(1)) + share.unsqueeze(1) * bright
    half = tuple(s - v for s, v in zip(sun, view, strict=True))
    shape = (dot(normal, half) * dot(half, half).rsqrt()).clamp(0, 1)
    glint = torch.where(shiny, 1.7 * _step(shape, 0.972, 0.992), 0.10 * shape**24)
    return colour + (glint * _step(direct, 0.0, 0.2)).unsqueeze(1) * sunshine


def _mirrored(objects, scene, normal, view, angle, bounced, open_floor) -> Tensor:
    """Light (k, 3) of sky or floor from where a mirror would show it."""
    x, y, z = along(view, normal, 2 * angle)
    turned = objects.turn[scene]
    cos, sin = turned.cos(), turned.sin()
    world_x, world_z = cos * x - sin * z, sin * x + cos * z
    above = torch.empty(len(scene), 3)
    for number, light in enumerate(LIGHTS.values()):
        rows = (objects.light[scene] == number).nonzero().flatten()
        above[rows] = sky(light, world_x[rows], y[rows], world_z[rows])
    below = bounced * (0.4 + 0.6 * open_floor.unsqueeze(1))
    return torch.lerp(below, above, _step(y, -0.04, 0.04).unsqueeze(1))


def _openness(solid: Solid, point: Point, normal: Point) -> tuple[Tensor, Tensor]:
    """How freely (k,), 0..1, points see the sky, and the sunlit floor, past the object itself."""
    floor = 1 - torch.exp(-1.6 * point[1].clamp(min=0) - 0.15)
    if not solid.hollow:
        return 0.75 + 0.25 * floor, floor
    free = torch.ones_like(floor)
    for reach, weight in ((0.12, 1.2), (0.34, 0.9)):
        x, y, z = along(point, normal, torch.full_like(floor, reach))
        free = free - weight * (reach - solid.distance(x, y, z)).clamp(min=0)
    free = free.clamp(0.25, 1)
    return (0.75 + 0.25 * floor) * free, floor * free


def _floor_shade(solid: Solid, objects: Objects) -> tuple[Tensor, Tensor, Tensor]:
    """Of the floor around each object, (n, h, w) in 0..1: the share of the sun that reaches it, of
    the sky that does not, and how much of what it sees nearby is the object in sunlight."""
    x, y, z = (part[:, 0] for part in _rays(1))
    floor = ((y < 0) & (CAMERA[1] < -y * FARTHEST_SHADOW)).nonzero().flatten()
    distance = CAMERA[1] / -y[floor]
    points = (x[floor] * distance).expand(len(objects.x), -1), z[floor] * distance + CAMERA[2]
    px, _, pz = objects.local_point(points[0], torch.zeros(()), points[1])  # (n, floor)
    shadow, closeness, near = torch.ones(3, len(objects.x), IMAGE_SIZE**2).unbind(0)
    closeness.zero_(), near.zero_()

    sun = objects.sun
    nearest = solid.middle * sun[:, 1:2] - px * sun[:, :1] - pz * sun[:, 2:]
    missed = px.square() + pz.square() + solid.middle**2 - nearest.square()
    spread = torch.tensor([light.spread for light in LIGHTS.values()])[objects.light]
    reach = solid.radius + spread.unsqueeze(1) * nearest.clamp(min=0)
    scene, spot = ((missed < reach.square()) & (nearest > -reach)).nonzero().unbind(1)
    origin = (px[scene, spot], torch.zeros(len(scene)), pz[scene, spot])
    lit = sunlit(solid, origin, sun[scene].unbind(1), spread[scene], 0.02)
    shadow[scene, floor[spot]] = lit

    scene, spot = (px.square() + pz.square() < (solid.radius + 1.4) ** 2).nonzero().unbind(1)
    origin = px[scene, spot], pz[scene, spot]
    for height, weight in ((0.12, 0.42), (0.45, 0.34)):
        gap = solid.distance(origin[0], torch.full_like(origin[0], height), origin[1])
        falloff = torch.exp(-gap.clamp(min=0) / (0.9 * height + 0.05))
        closeness[scene, floor[spot]] += weight * falloff
    towards = (origin[0] * sun[scene, 0] + origin[1] * sun[scene, 2]) / (
        torch.hypot(origin[0], origin[1]) + 0.3
    )
    fade = torch.exp(-gap.clamp(min=0) / 0.45)
    near[scene, floor[spot]] = fade * (0.5 + 0.5 * towards).clamp(0, 1)
    shape = (-1, IMAGE_SIZE, IMAGE_SIZE)
    return shadow.view(shape), closeness.view(shape), near.view(shape)


def _step(x: Tensor, low: float, high: float) -> Tensor:
    """0 below `low`, 1 above `high`, smooth between."""
    x = ((x - low) / (high - low)).clamp(0, 1)
    return x * x * (3 - 2 * x)
