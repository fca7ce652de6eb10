"""Ray caster for the physics world: spheres, boxes and cylinders with soft shadows.

Every ray is tested against every object in closed form, so a batch of frames is one chain of
elementwise operations that `torch.compile` fuses into a single pass. The light comes from one sun
or moon and from a sky that brightens the shadows. Soft shadows follow the distance from the shadow
ray to each object's centre, contact shadows the distance to its foot.

Shapes: M frames, P samples (pixels times `samples` squared), N objects. Directions and points are
triples of tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .dynamics import RADII
from .scene import Scenes

FIELD_OF_VIEW = 0.45  # tangent of half the angle that the picture spans
NEVER = 1e9
TILE = 1.25  # side of a floor square, metres
CUBE_HALF = 0.88  # in units of the half height
CYLINDER_RADIUS = 0.76

# Albedo of COLOURS, linear RGB.
ALBEDO = (
    (0.72, 0.03, 0.03),
    (0.95, 0.27, 0.02),
    (0.95, 0.74, 0.04),
    (0.06, 0.45, 0.07),
    (0.04, 0.62, 0.66),
    (0.03, 0.09, 0.70),
    (0.30, 0.04, 0.52),
    (0.95, 0.30, 0.52),
)
FLOOR = ((0.60, 0.58, 0.55), (0.44, 0.43, 0.42))
# Per time of day: direction to the light, its colour, the sky's fill light, sky at the horizon, sky
# above.
LIGHT = (
    (
        (-0.45, 0.80, -0.42),
        (0.86, 0.83, 0.76),
        (0.33, 0.36, 0.41),
        (0.72, 0.82, 0.92),
        (0.22, 0.45, 0.80),
    ),
    (
        (0.78, 0.55, -0.32),
        (0.92, 0.64, 0.44),
        (0.36, 0.31, 0.33),
        (0.92, 0.52, 0.28),
        (0.28, 0.19, 0.38),
    ),
    (
        (0.30, 0.85, -0.45),
        (0.38, 0.42, 0.51),
        (0.19, 0.21, 0.26),
        (0.07, 0.09, 0.19),
        (0.01, 0.015, 0.05),
    ),
)

Triple = Sequence[Tensor]


def _dot(a: Triple, b: Triple) -> Tensor:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _hit_sphere(o: Triple, d: Triple, r: Tensor) -> tuple[Tensor, Triple]:
    """Distance along the unit ray and normal; `o` is relative to the centre."""
    b = _dot(o, d)
    c = _dot(o, o) - r * r
    root = b * b - c
    t = torch.where(root > 0, -b - root.clamp_min(0).sqrt(), NEVER)
    return t, ((o[0] + t * d[0]) / r, (o[1] + t * d[1]) / r, (o[2] + t * d[2]) / r)


def _hit_cube(o: Triple, d: Triple, r: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Triple]:
    """A box as high as the other shapes (2 r) with a square base, turned by yaw."""
    ox = cos * o[0] - sin * o[2]
    oz = sin * o[0] + cos * o[2]
    dx = cos * d[0] - sin * d[2]
    dz = sin * d[0] + cos * d[2]
    half = CUBE_HALF * r
    near = []
    far = []
    for position, slope, extent in ((ox, dx, half), (o[1], d[1], r), (oz, dz, half)):
        slope = torch.where(slope.abs() < 1e-6, 1e-6, slope)
        mid = -position / slope
        reach = extent / slope.abs()
        near.append(mid - reach)
        far.append(mid + reach)
    t = torch.maximum(torch.maximum(near[0], near[1]), near[2])
    t = torch.where(t < torch.minimum(torch.minimum(far[0], far[1]), far[2]), t, NEVER)
    nx = torch.where(t == near[0], -dx.sign(), 0.0)
    nz = torch.where(t == near[2], -dz.sign(), 0.0)
    return t, (
        cos * nx + sin * nz,
        torch.where(t == near[1], -d[1].sign(), 0.0),
        cos * nz - sin * nx,
    )


def _hit_cylinder(o: Triple, d: Triple, r: Tensor) -> tuple[Tensor, Triple]:
    """An upright cylinder: the side if the ray enters between the caps, else the nearer cap."""
    radius = CYLINDER_RADIUS * r
    a = (d[0] * d[0] + d[2] * d[2]).clamp_min(1e-9)
    b = o[0] * d[0] + o[2] * d[2]
    c = o[0] * o[0] + o[2] * o[2] - radius * radius
    root = (b * b - a * c).clamp_min(0).sqrt() / a
    slope = torch.where(d[1].abs() < 1e-6, 1e-6, d[1])
    cap_mid = -o[1] / slope
    cap_reach = r / slope.abs()
    side = -b / a - root
    cap = cap_mid - cap_reach
    t = torch.maximum(side, cap)
    t = torch.where(
        (t < torch.minimum(-b / a + root, cap_mid + cap_reach)) & (b * b > a * c), t, NEVER
    )
    on_side = side > cap
    x = (o[0] + t * d[0]) / radius
    z = (o[2] + t * d[2]) / radius
    return t, (
        torch.where(on_side, x, 0.0),
        torch.where(on_side, 0.0, -d[1].sign()),
        torch.where(on_side, z, 0.0),
    )


def _rays(eye: Tensor, view: Tensor, plane_x: Tensor, plane_y: Tensor) -> Triple:
    """Unit directions [M, P] through the picture plane; view [M, 2] is (yaw, pitch)."""
    sin_yaw = view[:, :1].sin()
    cos_yaw = view[:, :1].cos()
    sin_pitch = view[:, 1:].sin()
    cos_pitch = view[:, 1:].cos()
    length = (1 + plane_x * plane_x + plane_y * plane_y).rsqrt()
    up = cos_pitch * plane_y + sin_pitch
    forward = cos_pitch - sin_pitch * plane_y
    return (
        (cos_yaw * plane_x + sin_yaw * forward) * length,
        up * length,
        (cos_yaw * forward - sin_yaw * plane_x) * length,
    )


def _cast(
    eye: Tensor,
    view: Tensor,
    centre: Tensor,
    radius: Tensor,
    shape: Tensor,
    yaw: Tensor,
    albedo: Tensor,
    present: Tensor,
    light: Tensor,
    plane_x: Tensor,
    plane_y: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Linear red, green and blue [M, P], and the object seen (0: none, n + 1: slot n)."""
    o = (eye[:, :1], eye[:, 1:2], eye[:, 2:])
    d = _rays(eye, view, plane_x, plane_y)
    sun = (light[:, 0, :1], light[:, 0, 1:2], light[:, 0, 2:])
    best = torch.where(d[1] < -1e-4, -o[1] / d[1].clamp_max(-1e-4), NEVER)
    floor_x = o[0] + best * d[0]
    floor_z = o[2] + best * d[2]
    on_floor = best < NEVER
    seen = torch.zeros_like(best)
    normal: Triple = (torch.zeros_like(best), torch.ones_like(best), torch.zeros_like(best))
    odd = ((floor_x / TILE + 100).floor() + (floor_z / TILE + 100).floor()).remainder(2.0)
    faded = 1 / (1 + (0.11 * best) ** 2)  # far squares blend into one tone instead of flickering
    tile = 0.5 + (odd - 0.5) * faded
    colour = [FLOOR[0][c] + (FLOOR[1][c] - FLOOR[0][c]) * tile for c in range(3)]
    lit = torch.ones_like(best)
    open_sky = torch.ones_like(best)
    for n in range(centre.shape[1]):
        r = radius[:, n : n + 1]
        there = present[:, n : n + 1]
        c = (centre[:, n, :1], centre[:, n, 1:2], centre[:, n, 2:])
        local = (o[0] - c[0], o[1] - c[1], o[2] - c[2])
        form = shape[:, n : n + 1]
        sphere, n0 = _hit_sphere(local, d, r)
        cube, n1 = _hit_cube(local, d, r, yaw[:, n : n + 1].cos(), yaw[:, n : n + 1].sin())
        cylinder, n2 = _hit_cylinder(local, d, r)
        t = torch.where(form == 0, sphere, torch.where(form == 1, cube, cylinder))
        nearer = there & (t < best) & (t > 0)
        best = torch.where(nearer, t, best)
        seen = torch.where(nearer, n + 1.0, seen)
        normal = tuple(
            torch.where(nearer, torch.where(form == 0, a, torch.where(form == 1, b, e)), old)
            for a, b, e, old in zip(n0, n1, n2, normal)
        )
        colour = [torch.where(nearer, albedo[:, n, k : k + 1], colour[k]) for k in range(3)]
        # Shadows on the floor only: distance from the shadow ray to the centre, and from the floor
        # point to the foot.
        fx = floor_x - c[0]
        fz = floor_z - c[2]
        along = -(fx * sun[0] - c[1] * sun[1] + fz * sun[2])
        missed = (fx * fx + c[1] * c[1] + fz * fz - along * along).clamp_min(0).sqrt() / r
        shade = ((1.15 - missed) / 0.5).clamp(0, 1)
        lit = torch.where(there, lit * (1 - shade * shade * (3 - 2 * shade)), lit)
        foot = (fx * fx + fz * fz) / (r * r) + 2.0 * (c[1] / r - 1)
        open_sky = torch.where(there, open_sky * (1 - 0.75 / (1 + foot * foot)), open_sky)
    on_object = seen > 0
    lit = torch.where(on_object, 1.0, lit)
    open_sky = torch.where(on_object, 0.72 + 0.28 * normal[1], open_sky)
    facing = _dot(normal, sun).clamp_min(0) * lit
    half = (sun[0] - d[0], sun[1] - d[1], sun[2] - d[2])
    gloss = (_dot(normal, half) * _dot(half, half).clamp_min(1e-6).rsqrt()).clamp_min(0)
    gloss = torch.where(on_object, gloss**24 * 0.25, 0.0)
    haze = torch.where(on_object, 0.0, 1 - (-((0.045 * best) ** 2)).exp())
    height = (d[1] * 2.2).clamp(0, 1)
    channels = []
    for k in range(3):
        sunlight, fill, horizon, zenith = (light[:, row, k : k + 1] for row in (1, 2, 3, 4))
        surface = colour[k] * (sunlight * facing + fill * open_sky) + gloss * sunlight
        sky = horizon + (zenith - horizon) * height
        channels.append(
            torch.where(on_floor | on_object, surface + (horizon - surface) * haze, sky)
        )
    return channels[0], channels[1], channels[2], seen


_compiled: dict[str, Callable[..., tuple[Tensor, ...]]] = {}


def _caster(compiled: bool) -> Callable[..., tuple[Tensor, ...]]:
    if not compiled:
        return _cast
    if "cast" not in _compiled:
        _compiled["cast"] = torch.compile(_cast, dynamic=False)
    return _compiled["cast"]


def render(
    scenes: Scenes,
    size: int | tuple[int, int] = 64,
    samples: int = 2,
    compiled: bool = False,
    device: str = "cpu",
) -> tuple[Tensor, Tensor]:
    """Draw scenes at any size.

    Args:
        size: pixels, one number for a square or (height, width).
        samples: rays per pixel along each side (anti-aliasing).
        compiled: fuse the caster with torch.compile. It needs a C++ compiler, and pays off after a
            few thousand frames.

    Returns:
        video uint8 [B, 3, F, Y, X] and slots uint8 [B, F, Y, X]: the object seen (0: none, n + 1:
        slot n).
    """
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1 or samples < 1:
        raise ValueError(f"size and samples must be at least 1; got {height}x{width} and {samples}")
    frames = scenes.position.shape[1]
    ys = (torch.arange(height * samples, device=device) + 0.5) / (height * samples) * 2 - 1
    xs = ((torch.arange(width * samples, device=device) + 0.5) / (width * samples) * 2 - 1) * (
        width / height
    )
    plane_y, plane_x = torch.meshgrid(-FIELD_OF_VIEW * ys, FIELD_OF_VIEW * xs, indexing="ij")
    lights = torch.tensor([[[*row] for row in light] for light in LIGHT])
    lights[:, 0] /= lights[:, 0].norm(dim=-1, keepdim=True)

    def per_frame(x: Tensor) -> Tensor:
        return x.repeat_interleave(frames, 0)

    rows = (
        scenes.eye.flatten(0, 1),
        scenes.view.flatten(0, 1),
        scenes.position.flatten(0, 1),
        per_frame(torch.tensor(RADII)[scenes.size]),
        per_frame(scenes.shape),
        per_frame(scenes.yaw),
        per_frame(torch.tensor(ALBEDO)[scenes.colour]),
        per_frame(scenes.present),
        per_frame(lights[scenes.time]),
    )
    total = len(rows[0])
    # a block that stays in cache
    step = max(1, min(total, (1 << (16 if device == "cpu" else 24)) // plane_x.numel()))
    padded = -(-total // step) * step
    inputs = [torch.cat([x, x[-1:].expand(padded - total, *x.shape[1:])]).to(device) for x in rows]
    cast = _caster(compiled)
    video = torch.empty(padded, 3, height, width, dtype=torch.uint8, device=device)
    slots = torch.empty(padded, height, width, dtype=torch.uint8, device=device)
    for begin in range(0, padded, step):
        block = slice(begin, begin + step)
        *channels, seen = cast(
            *(x[block] for x in inputs), plane_x.reshape(1, -1), plane_y.reshape(1, -1)
        )
        for k, channel in enumerate(channels):
            video[block, k] = _to_bytes(_pool(channel, step, height, width, samples))
        slots[block] = seen.view(step, height, samples, width, samples)[
            :, :, samples // 2, :, samples // 2
        ].to(torch.uint8)
    video = video[:total].unflatten(0, (len(scenes), frames)).transpose(1, 2)
    return video.contiguous(), slots[:total].unflatten(0, (len(scenes), frames))


def _pool(channel: Tensor, frames: int, height: int, width: int, samples: int) -> Tensor:
    return channel.view(frames, height, samples, width, samples).mean((2, 4))


def _to_bytes(linear: Tensor) -> Tensor:
    """Linear light to display bytes; the square root approximates the sRGB curve."""
    return (linear.clamp(0, 1).sqrt() * 255 + 0.5).to(torch.uint8)
