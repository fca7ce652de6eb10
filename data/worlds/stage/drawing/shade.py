"""How objects look where a ray meets them: material, light, shadows of others, haze.

Shapes: K rows of one object in one tile each, P rays, N objects of its scene.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .backdrop import Params, columns, encode, mix, rays, shadows, smooth
from .params import Layout
from .shapes import HITS, NEVER, dot

STRIPE = 0.42  # width of a stripe, in units of the half height


def local_rays(
    p: Params, plane_x: Tensor, plane_y: Tensor
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Origin and direction in the axes of the row's own object, and its size."""
    d = rays(p, plane_x, plane_y)
    r = p["own_radius"]
    centre = columns(p["own_centre"])
    eye = columns(p["eye"])
    delta = [(eye[k] - centre[k]) / r for k in range(3)]
    axes = [columns(p["own_rotation"][:, :, k]) for k in range(3)]
    return [dot(axis, delta) for axis in axes], [dot(axis, d) for axis in axes], r


def hit(shape: int, layout: Layout, rows: Tensor, plane_x: Tensor, plane_y: Tensor) -> Tensor:
    """Distance in metres, normal in the object's own axes and face, [5, K, P], for one shape."""
    o, d, r = local_rays(layout.unpack(rows), plane_x, plane_y)
    t, x, y, z, face = HITS[shape](o, d)
    t = torch.where((t < NEVER) & (t > 0), t * r, NEVER)
    return torch.stack([t, x, y, z, face])


def shade(
    layout: Layout,
    rows: Tensor,
    plane_x: Tensor,
    plane_y: Tensor,
    t: Tensor,
    normal_x: Tensor,
    normal_y: Tensor,
    normal_z: Tensor,
) -> Tensor:
    """Display values of red, green and blue [3, K, P] of the row's own object."""
    p = layout.unpack(rows)
    d = rays(p, plane_x, plane_y)
    o, own_d, r = local_rays(p, plane_x, plane_y)
    t = t.clamp(max=100.0)
    rotation = p["own_rotation"]
    own = (normal_x, normal_y, normal_z)
    n = [
        rotation[:, k, 0:1] * own[0] + rotation[:, k, 1:2] * own[1] + rotation[:, k, 2:3] * own[2]
        for k in range(3)
    ]
    eye = columns(p["eye"])
    place = [eye[k] + t * d[k] for k in range(3)]
    local_x = o[0] + t / r * own_d[0]
    wave = ((local_x / STRIPE * 0.5 + 0.25).remainder(1.0) - 0.5).abs() * 4 - 1
    stripe = smooth(wave * 6 + 0.5) * p["own_striped"]
    sun = columns(p["sun"])
    lit, sky, glow = shadows(p, place[0], place[1], place[2])
    facing = dot(n, sun)
    facing = mix(facing.clamp_min(0), facing * 0.5 + 0.5, torch.full_like(facing, 0.25))
    facing = facing * mix(torch.ones_like(lit), lit, torch.full_like(lit, 0.85))
    low = (place[1] / (1.2 * r)).clamp(0, 1)
    fill = (0.62 + 0.38 * n[1]) * (0.55 + 0.45 * low) * (0.6 + 0.4 * sky)
    toward = dot(n, d)
    mirror = [d[k] - 2 * toward * n[k] for k in range(3)]
    edge = (1 + toward).clamp(0, 1)
    fresnel = (0.10 + 0.75 * edge**4) * p["own_shiny"]
    gleam = dot(mirror, sun).clamp_min(0)
    gleam = (gleam**60 * 1.6 + gleam**12 * 0.16) * p["own_shiny"] * lit
    above = smooth(mirror[1] * 3 + 0.45)
    core = (-toward).clamp(0, 1)
    fog = 1 - (-p["haze"] * t).exp()
    flat = p["flat"]
    facing = mix(facing, torch.where(facing > 0.42, 0.78, 0.42), flat)
    fill = mix(fill, torch.full_like(fill, 0.72), flat)
    fresnel, gleam = fresnel * (1 - flat), gleam * (1 - flat)
    colours = []
    for k in range(3):
        albedo = p["own_albedo"][:, k : k + 1]
        albedo = mix(albedo, p["own_second"][:, k : k + 1], stripe)
        light = p["sunlight"][:, k : k + 1] * facing + p["fill"][:, k : k + 1] * fill + glow[k]
        colour = albedo * light
        bounce = p["ground_0"][:, k : k + 1] * p["fill"][:, k : k + 1]
        around = mix(bounce, 0.5 * (p["horizon"] + p["zenith"])[:, k : k + 1], above)
        colour = mix(colour, around, fresnel) + gleam * p["sunlight"][:, k : k + 1]
        emitted = albedo * (0.34 + 0.56 * core + 0.16 * n[1]) + 0.22 * core**4
        emitted = mix(emitted, albedo + 0.08, flat)
        colour = mix(colour, emitted, p["own_glowing"])
        haze = fog * (1 - 0.4 * p["own_glowing"])
        colours.append(encode(mix(colour, p["horizon"][:, k : k + 1], haze)))
    return torch.stack(colours)
