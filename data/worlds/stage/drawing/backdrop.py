"""What stands behind the objects: ground, rim, walls and sky, with shadows and glow upon them.

Every function is a chain of elementwise operations over rows of pixels. Textures are smooth
functions of places in the world (of directions, for the sky), so they move with it and not with
the picture, and fade where a pixel is wider than they are.

Shapes: K rows of one tile each, P pixels, N objects. Parameters are [K, 1] or [K, N, ...].
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..scene import HALF_DEPTH, HALF_WIDTH
from .params import Layout
from .shapes import NEVER, Triple, dot

RIM_HEIGHT, RIM_WIDTH = 0.22, 0.22  # metres
CEILING = 3.9
TILE = 1.15  # side of a checker square
PLANK = 0.52  # width of a wooden board
Params = dict[str, Tensor]


def columns(x: Tensor) -> Triple:
    """A triple of [K, 1] from [K, 3]."""
    return (x[:, 0:1], x[:, 1:2], x[:, 2:3])


def rays(p: Params, plane_x: Tensor, plane_y: Tensor) -> Triple:
    """Unit directions [K, P] through places in the picture (1 at its upper edge)."""
    plane_x, plane_y = plane_x * p["lens"], plane_y * p["lens"]
    sin_yaw, cos_yaw = p["view"][:, 0:1].sin(), p["view"][:, 0:1].cos()
    sin_pitch, cos_pitch = p["view"][:, 1:2].sin(), p["view"][:, 1:2].cos()
    length = (1 + plane_x * plane_x + plane_y * plane_y).rsqrt()
    up = cos_pitch * plane_y + sin_pitch
    forward = cos_pitch - sin_pitch * plane_y
    return (
        (cos_yaw * plane_x + sin_yaw * forward) * length,
        up * length,
        (cos_yaw * forward - sin_yaw * plane_x) * length,
    )


def mix(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    return a + (b - a) * share


def smooth(x: Tensor) -> Tensor:
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def wave(x: Tensor) -> Tensor:
    """Nearly the sine of x: two parabolas in each period, an eighth of the cost."""
    turn = x * (0.5 / math.pi)
    part = turn - (turn + 0.5).floor()  # from -1/2 to 1/2
    return part * (8 - 16 * part.abs())


def ripple(x: Tensor, y: Tensor) -> Tensor:
    """A smooth irregular pattern in about [-1, 1] with a period of a few units."""
    a = wave(1.71 * x + 0.93 * y)
    b = wave(1.93 * y - 1.12 * x + 1.4 * a)
    c = wave(2.37 * x + 0.71 * y + 1.8 * b)
    return (a + b + c) * 0.4


def _edge(x: Tensor, width: Tensor) -> Tensor:
    """A square wave of period 2 in [-1, 1], softened over `width`."""
    wave = ((x * 0.5).remainder(1.0) - 0.5).abs() * 4 - 1  # a triangle from -1 to 1
    return (wave / width).clamp(-1, 1)


def ground_colour(p: Params, x: Tensor, z: Tensor, distance: Tensor, d: Triple) -> list[Tensor]:
    """Albedo of the ground at (x, z), three tensors [K, P]."""
    foot = distance * p["pixel"] / (-d[1]).clamp_min(0.05)  # length of a pixel on the ground
    u, v = x + p["shift"][:, 0:1], z + p["shift"][:, 1:2]
    coarse = ripple(u * p["coarse"][:, 0:1], v * p["coarse"][:, 1:2])
    coarse = coarse * p["coarse"][:, 2:3] / (1 + (foot * p["coarse"][:, 0:1]) ** 2)
    fine = ripple(u * p["fine"][:, 0:1] + 2 * coarse, v * p["fine"][:, 1:2])
    fine = fine * p["fine"][:, 2:3] / (1 + (foot * p["fine"][:, 0:1] * 1.5) ** 2)
    soft = (foot / TILE).clamp_min(0.02) * 2
    tiles = _edge(x / TILE + 0.5, soft) * _edge(z / TILE + 0.5, soft)
    board = (x / PLANK).floor()
    tone = (board * 0.6180340).remainder(1.0) - 0.5
    seam = ((x / PLANK).remainder(1.0) - 0.5).abs() * 2
    seam = ((seam - 0.93) / 0.06).clamp(0, 1) / (1 + 6 * foot)
    boards = p["boards"]
    share = 0.5 + 0.5 * p["tiles"] * tiles / (1 + 0.25 * foot) + coarse + fine
    share = share + boards * 0.55 * tone / (1 + foot)
    share = share.clamp(-0.2, 1.2)
    dark = 1 - 0.45 * boards * seam
    first, second = p["ground_0"], p["ground_1"]
    return [mix(first[:, k : k + 1], second[:, k : k + 1], share) * dark for k in range(3)]


def sky_colour(p: Params, d: Triple) -> list[Tensor]:
    """The sky in direction d: a gradient, clouds, sun or moon, and hills at the horizon."""
    height = (d[1] * 1.9).clamp_min(0)
    rise = 1 - (-2.2 * height).exp()
    level = d[1].clamp_min(0.03)
    cloud_x, cloud_z = d[0] / (level + 0.12), d[2] / (level + 0.12)
    puff = ripple(cloud_x * 0.8 + p["shift"][:, 0:1], cloud_z * 1.5 + p["shift"][:, 1:2])
    detail = ripple(cloud_x * 2.1 + puff, cloud_z * 3.7)
    cloud = smooth((puff + 0.25 * detail - 0.1) * 1.1) * p["cloud"] * (d[1] * 8).clamp(0, 1)
    facing = dot(d, columns(p["sky_sun"]))
    disc = smooth((facing - 0.9975) * 1400) * p["disc"]
    glare = facing.clamp_min(0) ** 24 * 0.22 * p["disc"]
    way = d[0] / d[2].clamp_min(0.1) + p["shift"][:, 0:1]
    far = 0.055 + 0.030 * wave(way * 3.1) + 0.016 * wave(way * 7.7 + 1)
    near = 0.030 + 0.022 * wave(way * 4.3 + 2) + 0.010 * wave(way * 11.3)
    far_hill = ((far - d[1]) * p["sharp"]).clamp(0, 1)
    near_hill = ((near - d[1]) * p["sharp"]).clamp(0, 1)
    colours = []
    for k in range(3):
        horizon, zenith = p["horizon"][:, k : k + 1], p["zenith"][:, k : k + 1]
        sky = mix(horizon, zenith, rise)
        sky = mix(sky, p["cloud_colour"][:, k : k + 1], cloud * 0.75)
        sky = sky + (disc + glare) * p["disc_colour"][:, k : k + 1]
        hill = p["hill"][:, k : k + 1]
        sky = mix(sky, mix(hill, horizon, p["hill_haze"]), far_hill)
        sky = mix(sky, mix(hill * 0.75, horizon, 0.5 * p["hill_haze"]), near_hill)
        colours.append(sky)
    return colours


def _wall_colour(p: Params, x: Tensor, y: Tensor, z: Tensor, on_back: Tensor) -> list[Tensor]:
    """A painted wall with a skirting board and, at the back, a window to the sky."""
    soft = p["pixel"] * 14
    along = torch.where(on_back, x, z)
    board = ((0.34 - y) / soft).clamp(0, 1)
    stripe = 0.5 + 0.5 * _edge(along / 0.62, (soft * 3).clamp_min(0.05))
    pane_x, pane_y = (x - p["window"][:, 0:1]).abs(), (y - 2.35).abs()
    inside = torch.minimum((0.95 - pane_x) / soft, (0.72 - pane_y) / soft).clamp(0, 1)
    frame = torch.minimum((1.06 - pane_x) / soft, (0.83 - pane_y) / soft).clamp(0, 1)
    bars = torch.maximum((0.035 - pane_x) / soft, (0.035 - pane_y) / soft).clamp(0, 1)
    shown = on_back.float() * p["room"]
    glass = inside * (1 - bars) * shown
    colours = []
    for k in range(3):
        paint = p["paint"][:, k : k + 1]
        wall = paint * (1 - 0.09 * stripe * p["room"])
        wall = mix(wall, p["skirting"][:, k : k + 1], board)
        wall = mix(wall, torch.full_like(wall, 0.62), frame * shown)
        colours.append(wall)
    colours.append(glass)
    return colours


def shadows(p: Params, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Sunlight and sky light that reach points [K, P], and the glow of glowing objects there."""
    lit, sky = torch.ones_like(x), torch.ones_like(x)
    glow = [torch.zeros_like(x) for _ in range(3)]
    sun = columns(p["sun"])
    for n in range(p["centre"].shape[1]):
        there = p["there"][:, n : n + 1]
        c = columns(p["centre"][:, n])
        r = p["radius"][:, n : n + 1]
        delta = (x - c[0], y - c[1], z - c[2])
        matrix = p["squash"][:, n]  # the object's own axes over the extents of its ellipsoid
        axes = [columns(matrix[:, k]) for k in range(3)]
        o = [dot(axis, delta) for axis in axes]
        s = [dot(axis, sun) for axis in axes]
        slope = dot(s, s)
        along = -dot(o, s) / slope
        missed = (dot(o, o) - along * along * slope).clamp_min(0).sqrt()
        width = 0.30 + 0.22 * (along / r).clamp(0, 4)
        shade = smooth((1 + 0.45 * width - missed) / width)
        crossing = -o[1] / torch.where(s[1].abs() < 0.05, 0.05, s[1])
        hole_x, hole_z = o[0] + crossing * s[0], o[2] + crossing * s[2]
        hole = smooth((0.62 - (hole_x * hole_x + hole_z * hole_z).sqrt()) * 3.2)
        shade = shade * (1 - hole * p["hollow"][:, n : n + 1])
        ahead = (along > 0.0).float() * there * p["shade"]
        lit = lit * (1 - shade * ahead)
        flat = delta[0] * delta[0] + delta[2] * delta[2]
        foot = flat / (r * r) + 2.0 * ((c[1] - y) / p["rest"][:, n : n + 1] - 1).clamp_min(0)
        foot = foot / p["spread"][:, n : n + 1]
        sky = sky * (1 - 0.62 * there / (1 + foot * foot * 1.6))
        light = p["glow"][:, n : n + 1] / (1 + 2.2 * (flat + delta[1] * delta[1]) / (r * r))
        colour = p["albedo"][:, n]
        for k in range(3):
            glow[k] = glow[k] + light * colour[:, k : k + 1]
    return lit, sky, glow


def _surfaces(p: Params, o: Triple, d: Triple) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Distance to the nearest surface; whether it is the ground, a rim, a wall, the back wall."""
    ground = torch.where(d[1] < -1e-4, -o[1] / d[1].clamp_max(-1e-4), NEVER)
    ahead = d[2].clamp_min(1e-3)
    sideways = torch.where(d[0].abs() < 1e-4, 1e-4, d[0])
    back = (HALF_DEPTH - o[2]) / ahead
    side = (sideways.sign() * HALF_WIDTH - o[0]) / sideways
    side = torch.where(o[2] + side * d[2] < p["side_from"], NEVER, side)
    wall = torch.minimum(back, side)
    wall_y = o[1] + wall * d[1]
    wall = torch.where((wall_y > 0) & (wall_y < p["wall_height"]), wall, NEVER)
    outer_x, outer_z = HALF_WIDTH + RIM_WIDTH, HALF_DEPTH + RIM_WIDTH
    top = torch.where(d[1] < -1e-4, (RIM_HEIGHT - o[1]) / d[1].clamp_max(-1e-4), NEVER)
    top_x, top_z = (o[0] + top * d[0]).abs(), o[2] + top * d[2]
    within = (top_x < HALF_WIDTH) & (top_z.abs() < HALF_DEPTH)
    around = (top_x < outer_x) & (top_z.abs() < outer_z)
    only_front = (p["room"] > 0.5) & (top_z > -HALF_DEPTH)
    top = torch.where(around & ~within & ~only_front, top, NEVER)
    front = (-outer_z - o[2]) / ahead
    front_y, front_x = o[1] + front * d[1], o[0] + front * d[0]
    on_front = (front_y > 0) & (front_y < RIM_HEIGHT) & (front_x.abs() < outer_x)
    front = torch.where(on_front, front, NEVER)
    ceiling = torch.where(d[1] > 1e-4, (CEILING - o[1]) / d[1].clamp_min(1e-4), NEVER)
    ceiling = torch.where(p["room"] > 0.5, ceiling, NEVER)
    rim = torch.minimum(top, front)
    nearest = torch.minimum(torch.minimum(ground, ceiling), torch.minimum(wall, rim))
    is_rim = (rim <= nearest) & (rim < NEVER)
    is_wall = (wall <= nearest) & (wall < NEVER) & ~is_rim
    on_back = is_wall & (back <= side)
    kind = torch.where(nearest >= NEVER, 0.0, 1.0)  # sky, ground, rim, side wall, back, ceiling
    kind = torch.where(is_rim, torch.where(top <= front, 2.0, 3.0), kind)
    kind = torch.where(is_wall, torch.where(on_back, 5.0, 4.0), kind)
    kind = torch.where((ceiling <= nearest) & (ceiling < NEVER), 6.0, kind)
    return nearest, is_rim, is_wall, on_back, kind


def encode(linear: Tensor) -> Tensor:
    """Linear light to display values in [0, 1], the curve of sRGB by three square roots.

    It differs from IEC 61966-2-1 by less than 0.004 above 0.002.
    """
    x = linear.clamp(0, 1)
    a = x.sqrt()
    b = a.sqrt()
    c = b.sqrt()
    curve = 0.662002687 * a + 0.684122060 * b - 0.323583601 * c - 0.0225411470 * x
    return curve.clamp(0, 1)


def backdrop(layout: Layout, rows: Tensor, plane_x: Tensor, plane_y: Tensor) -> Tensor:
    """Display values of red, green and blue, distance along the ray and kind, [5, K, P]."""
    p = layout.unpack(rows)
    d = rays(p, plane_x, plane_y)
    o = columns(p["eye"])
    distance, is_rim, is_wall, on_back, kind = _surfaces(p, o, d)
    reached = distance.clamp(max=400.0)
    x, y, z = (o[k] + reached * d[k] for k in range(3))
    lit, open_sky, glow = shadows(p, x, y, z)
    sun = columns(p["sun"])
    is_top = kind == 2.0
    is_ceiling = kind == 6.0
    up = torch.where(is_wall | (kind == 3.0), 0.0, 1.0)
    normal_x = torch.where(is_wall & ~on_back, -d[0].sign(), 0.0)
    normal_z = torch.where(on_back | (kind == 3.0), -1.0, 0.0)
    facing = (sun[1] * up + sun[0] * normal_x + sun[2] * normal_z).clamp_min(0)
    facing = torch.where(is_ceiling, 0.25, facing)
    facing = mix(facing, torch.full_like(facing, 0.75), p["flat"])
    corner = 1 - 0.35 * (-4.0 * (HALF_WIDTH - x.abs()).clamp_min(0)).exp() * p["room"]
    corner = corner * (1 - 0.35 * (-4.0 * (HALF_DEPTH - z).clamp_min(0)).exp() * p["room"])
    open_sky = open_sky * mix(corner, torch.ones_like(corner), p["flat"])
    ground = ground_colour(p, x, z, reached, d)
    walls = _wall_colour(p, x, y, z, on_back)
    sky = sky_colour(p, d)
    fog = 1 - (-p["haze"] * reached).exp()
    fog = torch.where(kind == 0.0, p["sky_fog"] * (-5 * d[1].clamp_min(0)).exp(), fog)
    glass = torch.where(is_wall, walls[3], 0.0)
    sheen = p["sheen"] * (1 + d[1]).clamp(0, 1) ** 3
    sheen = torch.where(kind == 1.0, sheen, 0.0) * open_sky
    halo = _halo(p, o, d, reached)
    colours = []
    for k in range(3):
        fill, sunlight = p["fill"][:, k : k + 1], p["sunlight"][:, k : k + 1]
        rim = p["rim"][:, k : k + 1]
        surface = torch.where(is_wall, walls[k], torch.where(is_rim, rim, ground[k]))
        surface = torch.where(is_ceiling, 0.55, surface)
        surface = torch.where(is_top, surface * 1.12, surface)
        light = sunlight * facing * lit + fill * open_sky + glow[k]
        colour = surface * light
        horizon = p["horizon"][:, k : k + 1]
        colour = mix(colour, horizon, sheen)
        colour = torch.where(kind == 0.0, sky[k], mix(colour, sky[k], glass))
        colours.append(encode(mix(colour, horizon, fog) + halo[k]))
    return torch.stack([*colours, distance, kind])


def _halo(p: Params, o: Triple, d: Triple, distance: Tensor) -> list[Tensor]:
    """Light that glowing objects scatter into the picture around them."""
    halo: Sequence[Tensor] = [torch.zeros_like(distance) for _ in range(3)]
    for n in range(p["centre"].shape[1]):
        c = columns(p["centre"][:, n])
        delta = (c[0] - o[0], c[1] - o[1], c[2] - o[2])
        along = dot(delta, d)
        missed = (dot(delta, delta) - along * along).clamp_min(0)
        missed = missed / p["radius"][:, n : n + 1] ** 2
        near = p["glow"][:, n : n + 1] * 0.30 / (1 + missed * missed)
        halo = [h + near * p["albedo"][:, n, k : k + 1] for k, h in enumerate(halo)]
    return list(halo)
