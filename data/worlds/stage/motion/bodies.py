"""Bodies on the grounds of the stage: their heights and footprints, friction and bounce.

Shapes: N object slots; functions are elementwise over any leading axes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..drawing.shapes import FOOTPRINT_LYING, FOOTPRINT_UPRIGHT, LYING, UPRIGHT
from ..scene import RADII, SHAPES

GRAVITY = 5.0  # slower than Earth's, so that a fall lasts several frames
# Per ground: deceleration in m/s² of what slides and of what rolls, share of the speed that a
# bounce of a ball keeps.
SLIDING = (0.50, 0.75, 0.45, 1.10, 0.08)
ROLLING = (0.26, 0.42, 0.24, 0.70, 0.05)
BOUNCE = (0.80, 0.45, 0.72, 0.12, 0.62)
SPRING = (1.0, 0.5, 0.5, 0.4, 0.85, 0.85)  # share of BOUNCE that each shape has


def rest_height(shape: Tensor, lying: Tensor, size: Tensor) -> Tensor:
    """Heights of the centres of objects on the ground."""
    upright, flat = torch.tensor(UPRIGHT), torch.tensor(LYING)
    return torch.where(lying, flat[shape], upright[shape]).double() * torch.tensor(RADII)[size]


def footprints(shape: Tensor, lying: Tensor, size: Tensor) -> Tensor:
    """(c, p, q) in metres, [..., 3]: a footprint reaches c + p |along| + q |across|."""
    upright, flat = torch.tensor(FOOTPRINT_UPRIGHT), torch.tensor(FOOTPRINT_LYING)
    unit = torch.where(lying[..., None], flat[shape], upright[shape]).double()
    return unit * torch.tensor(RADII)[size][..., None]


def reach(foot: Tensor, yaw: Tensor, x: Tensor, z: Tensor) -> Tensor:
    """How far footprints reach in the direction (x, z) of unit length, metres."""
    return reach_from(foot, yaw.cos(), yaw.sin(), x, z)


def reach_from(foot: Tensor, cos: Tensor, sin: Tensor, x: Tensor, z: Tensor) -> Tensor:
    along = (x * cos + z * sin).abs()
    across = (z * cos - x * sin).abs()
    return foot[..., 0] + foot[..., 1] * along + foot[..., 2] * across


def gaps(foot: Tensor, yaw: Tensor, position: Tensor) -> Tensor:
    """Distances [..., N, N] along the line between centres, metres; negative: too close."""
    delta = position[..., None, :, :] - position[..., :, None, :]
    x, z = delta[..., 0], delta[..., 2]
    distance = (x * x + z * z).sqrt().clamp_min(1e-9)
    x, z = x / distance, z / distance
    mine = reach(foot[..., :, None, :], yaw[..., :, None], x, z)
    theirs = reach(foot[..., None, :, :], yaw[..., None, :], x, z)
    return distance - mine - theirs


def deceleration(shape: Tensor, lying: Tensor, ground: Tensor) -> Tensor:
    """Of a free object on the ground, m/s²; ground is [..., 1]."""
    rolls = (shape == SHAPES.index("ball")) | lying
    return torch.where(rolls, torch.tensor(ROLLING)[ground], torch.tensor(SLIDING)[ground]).double()


def restitution(shape: Tensor, ground: Tensor) -> Tensor:
    """Share of the vertical speed that a bounce keeps; ground is [..., 1]."""
    return torch.tensor(BOUNCE)[ground].double() * torch.tensor(SPRING)[shape]
