"""The six shapes: where a ray meets each of them, in closed form (the ring by sphere tracing).

All shapes are given in their own axes, in units of the half height of their size; y is the axis of
symmetry. Every function takes the origin and the unit direction of rays as triples of tensors and
returns the distance (NEVER for a miss), the outward normal as a triple and a number of the face.

Shapes: K rows of one object each, P rays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

NEVER = 1e9

CUBE_HALF = 0.82
CYLINDER_RADIUS, CYLINDER_HALF = 0.72, 0.95
CONE_RADIUS, CONE_HALF = 0.88, 1.0  # base at y = -CONE_HALF, tip at +CONE_HALF
RING_RADIUS, RING_TUBE = 0.72, 0.27
CAPSULE_RADIUS, CAPSULE_HALF = 0.52, 0.56  # of the tube, and of the segment within it
TRACE_STEPS = 14

Triple = Sequence[Tensor]
Hit = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def dot(a: Triple, b: Triple) -> Tensor:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _off_zero(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 1e-6, 1e-6, x)


def ball(o: Triple, d: Triple) -> Hit:
    b = dot(o, d)
    root = b * b - dot(o, o) + 1
    t = torch.where(root > 0, -b - root.clamp_min(0).sqrt(), NEVER)
    x, y, z = (o[k] + t * d[k] for k in range(3))
    return t, x, y, z, torch.zeros_like(t)


def cube(o: Triple, d: Triple) -> Hit:
    near, far = [], []
    for k in range(3):
        slope = _off_zero(d[k])
        middle = -o[k] / slope
        reach = CUBE_HALF / slope.abs()
        near.append(middle - reach)
        far.append(middle + reach)
    t = torch.maximum(torch.maximum(near[0], near[1]), near[2])
    leave = torch.minimum(torch.minimum(far[0], far[1]), far[2])
    x, y, z = (torch.where(t == near[k], -d[k].sign(), 0.0) for k in range(3))
    face = x + 2 * y + 4 * z
    return torch.where(t < leave, t, NEVER), x, y, z, face


def cylinder(o: Triple, d: Triple) -> Hit:
    """The side where the ray enters between the caps, else the cap that it enters through."""
    a = (d[0] * d[0] + d[2] * d[2]).clamp_min(1e-9)
    b = o[0] * d[0] + o[2] * d[2]
    c = o[0] * o[0] + o[2] * o[2] - CYLINDER_RADIUS**2
    inside = b * b - a * c
    root = inside.clamp_min(0).sqrt() / a
    slope = _off_zero(d[1])
    cap_middle = -o[1] / slope
    cap_reach = CYLINDER_HALF / slope.abs()
    side = -b / a - root
    cap = cap_middle - cap_reach
    t = torch.maximum(side, cap)
    leave = torch.minimum(-b / a + root, cap_middle + cap_reach)
    on_side = side > cap
    x = torch.where(on_side, (o[0] + t * d[0]) / CYLINDER_RADIUS, 0.0)
    y = torch.where(on_side, 0.0, -d[1].sign())
    z = torch.where(on_side, (o[2] + t * d[2]) / CYLINDER_RADIUS, 0.0)
    return torch.where((t < leave) & (inside > 0), t, NEVER), x, y, z, y


def cone(o: Triple, d: Triple) -> Hit:
    """The nearest of both crossings with the lower nappe and the crossing with the base."""
    slant = CONE_RADIUS / (2 * CONE_HALF)
    below = CONE_HALF - o[1]
    a = _off_zero(d[0] * d[0] + d[2] * d[2] - slant**2 * d[1] * d[1])
    b = o[0] * d[0] + o[2] * d[2] + slant**2 * below * d[1]
    c = o[0] * o[0] + o[2] * o[2] - slant**2 * below * below
    inside = b * b - a * c
    root = inside.clamp_min(0).sqrt()
    t = torch.full_like(a, NEVER)
    for sign in (-1.0, 1.0):
        crossing = (-b + sign * root) / a
        y = o[1] + crossing * d[1]
        valid = (inside > 0) & (y.abs() < CONE_HALF) & (crossing > 0)
        t = torch.where(valid, torch.minimum(t, crossing), t)
    base = (-CONE_HALF - o[1]) / _off_zero(d[1])
    x, z = o[0] + base * d[0], o[2] + base * d[2]
    on_base = (x * x + z * z < CONE_RADIUS**2) & (base > 0) & (base < t)
    x, z = o[0] + t * d[0], o[2] + t * d[2]
    length = (x * x + z * z).clamp_min(1e-12).rsqrt() * (1 + slant**2) ** -0.5
    x = torch.where(on_base, 0.0, x * length)
    y = torch.where(on_base, -1.0, slant * (1 + slant**2) ** -0.5)
    z = torch.where(on_base, 0.0, z * length)
    face = torch.where(on_base, -1.0, 0.0)
    return torch.where(on_base, base, t), x, y, z, face


def ring(o: Triple, d: Triple) -> Hit:
    """A torus, by sphere tracing from where the ray enters the cylinder around it."""
    outer = RING_RADIUS + RING_TUBE
    a = (d[0] * d[0] + d[2] * d[2]).clamp_min(1e-9)
    b = o[0] * d[0] + o[2] * d[2]
    inside = b * b - a * (o[0] * o[0] + o[2] * o[2] - outer**2)
    root = inside.clamp_min(0).sqrt() / a
    slope = _off_zero(d[1])
    t = torch.maximum(-b / a - root, -o[1] / slope - RING_TUBE / slope.abs())
    leave = torch.minimum(-b / a + root, -o[1] / slope + RING_TUBE / slope.abs())
    gap = torch.zeros_like(t)
    for _ in range(TRACE_STEPS):
        x, y, z = (o[k] + t * d[k] for k in range(3))
        across = (x * x + z * z).sqrt() - RING_RADIUS
        gap = (across * across + y * y).sqrt() - RING_TUBE
        t = t + gap
    x, y, z = (o[k] + t * d[k] for k in range(3))
    radius = (x * x + z * z).clamp_min(1e-9).sqrt()
    across = (radius - RING_RADIUS) / radius
    hit = (inside > 0) & (t < leave) & (gap < 0.02)
    return (
        torch.where(hit, t, NEVER),
        x * across / RING_TUBE,
        y / RING_TUBE,
        z * across / RING_TUBE,
        torch.zeros_like(t),
    )


def capsule(o: Triple, d: Triple) -> Hit:
    """The tube where the ray meets it between its ends, else the half ball at that end."""
    a = (d[0] * d[0] + d[2] * d[2]).clamp_min(1e-9)
    b = o[0] * d[0] + o[2] * d[2]
    inside = b * b - a * (o[0] * o[0] + o[2] * o[2] - CAPSULE_RADIUS**2)
    side = (-b - inside.clamp_min(0).sqrt()) / a
    y = (o[1] + side * d[1]).clamp(-CAPSULE_HALF, CAPSULE_HALF)
    on_side = y.abs() < CAPSULE_HALF
    above = o[1] - y
    b = o[0] * d[0] + above * d[1] + o[2] * d[2]
    root = b * b - (o[0] * o[0] + above * above + o[2] * o[2] - CAPSULE_RADIUS**2)
    t = torch.where(on_side, side, -b - root.clamp_min(0).sqrt())
    hit = (inside > 0) & (on_side | (root > 0))
    x = (o[0] + t * d[0]) / CAPSULE_RADIUS
    z = (o[2] + t * d[2]) / CAPSULE_RADIUS
    y = (o[1] + t * d[1] - y) / CAPSULE_RADIUS
    y = torch.where(on_side, 0.0, y)
    return torch.where(hit, t, NEVER), x, y, z, torch.zeros_like(t)


HITS: tuple[Callable[[Triple, Triple], Hit], ...] = (ball, cube, cylinder, cone, ring, capsule)
"""In the order of `scene.SHAPES`."""

# Half height when upright, height of the centre when the axis is horizontal, and the radius of the
# ball around each shape.
UPRIGHT = (1.0, CUBE_HALF, CYLINDER_HALF, CONE_HALF, RING_TUBE, CAPSULE_HALF + CAPSULE_RADIUS)
LYING = (1.0, CUBE_HALF, CYLINDER_RADIUS, CONE_RADIUS, RING_RADIUS + RING_TUBE, CAPSULE_RADIUS)
BOUND = (1.0, 1.421, 1.193, 1.333, 0.991, 1.081)
# Half extents of the ellipsoid that throws the shadow.
SHADOW = (
    (1.0, 1.0, 1.0),
    (1.0, 0.95, 1.0),
    (0.76, 1.1, 0.76),
    (0.72, 1.1, 0.72),
    (0.99, 0.3, 0.99),
    (0.52, 1.08, 0.52),
)
# On the ground a shape reaches c + p |along its axis| + q |across it| in a direction: (c, p, q)
# when upright and when lying.
FOOTPRINT_UPRIGHT = (
    (1.0, 0.0, 0.0),
    (0.0, CUBE_HALF, CUBE_HALF),
    (CYLINDER_RADIUS, 0.0, 0.0),
    (CONE_RADIUS, 0.0, 0.0),
    (RING_RADIUS + RING_TUBE, 0.0, 0.0),
    (CAPSULE_RADIUS, 0.0, 0.0),
)
FOOTPRINT_LYING = (
    (1.0, 0.0, 0.0),
    (0.0, CUBE_HALF, CUBE_HALF),
    (0.0, CYLINDER_HALF, CYLINDER_RADIUS),
    (0.0, CONE_HALF, CONE_RADIUS),
    (RING_TUBE, 0.0, RING_RADIUS),
    (CAPSULE_RADIUS, CAPSULE_HALF, 0.0),
)
