"""How the objects of the physics world move: gravity, bounces, rolling friction and collisions.

Semi-implicit Euler steps of fixed length. Objects collide as discs on the floor and lose a part of
their closing speed. Metres, seconds; y is up and the floor is y = 0.

Shapes: B clips, F frames, N object slots.
"""

from __future__ import annotations

import torch
from torch import Tensor

RADII = (0.58, 0.90)  # half the height of a small and a large object, metres
FOOTPRINT = (1.0, 1.05, 0.8)  # collision radius of each shape, in units of its half height
BOUNCE = (0.66, 0.35, 0.35)  # share of the vertical speed kept by a bounce, by shape
GRAVITY = 5.0  # slower than Earth's, so that a fall lasts several frames
FRICTION = 0.62  # deceleration on the floor, m/s²
COLLISION_KEEP = 0.45  # share of the closing speed kept by a collision
SUBSTEPS = 4


def simulate(
    start: Tensor,
    velocity: Tensor,
    size: Tensor,
    shape: Tensor,
    present: Tensor,
    frames: int,
    fps: float,
) -> tuple[Tensor, Tensor]:
    """Positions [B, F, N, 3] and contacts bool [B, F, N, N] by semi-implicit Euler steps."""
    dt = 1.0 / (fps * SUBSTEPS)
    position = start.clone()
    velocity = velocity.clone()
    radius = torch.tensor(RADII)[size]
    reach = _reach(size, shape)
    bounce = torch.tensor(BOUNCE)[shape]
    mass = radius**3
    positions = []
    contacts = []
    for frame in range(frames):
        touching = torch.zeros(*present.shape, present.shape[1], dtype=torch.bool)
        for _ in range(SUBSTEPS if frame else 0):
            velocity[..., 1] -= GRAVITY * dt
            position = position + velocity * dt
            below = position[..., 1] < radius
            rebound = torch.where(velocity[..., 1] < -0.35, -velocity[..., 1] * bounce, 0.0)
            velocity[..., 1] = torch.where(below, rebound, velocity[..., 1])
            position[..., 1] = torch.where(below, radius, position[..., 1])
            flat = velocity[..., [0, 2]].norm(dim=-1)
            slow = ((flat - FRICTION * dt * below) / flat.clamp_min(1e-6)).clamp_min(0.0)
            velocity[..., 0] *= slow
            velocity[..., 2] *= slow
            position, velocity = _collide(position, velocity, reach, mass, present, touching)
        positions.append(position.clone())
        contacts.append(touching)
    return torch.stack(positions, 1), torch.stack(contacts, 1)


def _collide(
    position: Tensor,
    velocity: Tensor,
    reach: Tensor,
    mass: Tensor,
    present: Tensor,
    touching: Tensor,
) -> tuple[Tensor, Tensor]:
    """Push overlapping pairs apart, exchange their momentum, and mark them in `touching`."""
    for i, j in ((0, 1), (0, 2), (1, 2)):
        delta = (position[:, j] - position[:, i])[:, [0, 2]]
        distance = delta.norm(dim=-1).clamp_min(1e-6)
        depth = reach[:, i] + reach[:, j] - distance
        level = (position[:, i, 1] - position[:, j, 1]).abs() < reach[:, i] + reach[:, j]
        hit = (depth > 0) & level & present[:, i] & present[:, j]
        touching[:, i, j] |= hit
        touching[:, j, i] |= hit
        normal = delta / distance[:, None]
        share = mass[:, j] / (mass[:, i] + mass[:, j])
        closing = ((velocity[:, i] - velocity[:, j])[:, [0, 2]] * normal).sum(-1).clamp_min(0.0)
        impulse = torch.where(hit, (1 + COLLISION_KEEP) * closing, 0.0)
        push = torch.where(hit, depth.clamp_min(0.0), 0.0)
        for k, weight in ((i, -share), (j, 1 - share)):
            for axis, component in ((0, normal[:, 0]), (2, normal[:, 1])):
                velocity[:, k, axis] += weight * impulse * component
                position[:, k, axis] += weight * push * component
    return position, velocity


def spread_apart(start: Tensor, size: Tensor, shape: Tensor, present: Tensor) -> Tensor:
    """Start positions [B, 3, 3] after objects of a crowded scene were pushed apart."""
    reach = _reach(size, shape) * 1.02
    mass = torch.tensor(RADII)[size] ** 3
    floor = start * torch.tensor([1.0, 0.0, 1.0])
    unused = torch.zeros(*present.shape, present.shape[1], dtype=torch.bool)
    for _ in range(16):
        floor, _ = _collide(floor, torch.zeros_like(floor), reach, mass, present, unused)
    return floor + start * torch.tensor([0.0, 1.0, 0.0])


def _reach(size: Tensor, shape: Tensor) -> Tensor:
    """Collision radii on the floor in metres."""
    return torch.tensor(FOOTPRINT)[shape] * torch.tensor(RADII)[size]
