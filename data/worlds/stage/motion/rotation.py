"""How objects are turned, and turn while they roll and spin.

Rotations are matrices whose columns are the object's own axes in the world.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..drawing.shapes import LYING
from ..scene import RADII, SHAPES
from .script import Script


def first_rotation(script: Script) -> Tensor:
    """[B, N, 3, 3]: own y upwards, or along the ground where the object lies."""
    cos, sin = script.yaw.cos(), script.yaw.sin()
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    along = torch.stack([cos, zero, sin], -1)
    across = torch.stack([-sin, zero, cos], -1)
    up = torch.stack([zero, one, zero], -1)
    upright = torch.stack([along, up, across], -1)
    lying = torch.stack([up, along, -across], -1)
    return torch.where(script.lying[..., None, None], lying, upright)


def turning(script: Script, moved: Tensor, turned: Tensor, yaw: Tensor, resting: Tensor) -> Tensor:
    """Mean radians per second about the axes of the world, [B, N, 3].

    Args:
        moved: metres per second [B, N, 3]; turned: radians per second about the vertical, [B, N].
        yaw: where the objects' axes pointed before, [B, N]; resting: what is on the ground.
    """
    radius = torch.tensor(RADII)[script.size].double()
    lying_radius = torch.tensor(LYING).double()[script.shape] * radius
    zero = torch.zeros_like(radius)
    spin = torch.stack([moved[..., 2], zero, -moved[..., 0]], -1) / lying_radius[..., None]
    axis = torch.stack([yaw.cos(), zero, yaw.sin()], -1)
    about_axis = (spin * axis).sum(-1, keepdim=True) * axis
    is_ball = (script.shape == SHAPES.index("ball"))[..., None]
    rolls = torch.where(is_ball, spin, torch.where(script.lying[..., None], about_axis, 0.0))
    rolls = torch.where(resting[..., None], rolls, 0.0)
    return rolls + torch.stack([zero, -turned, zero], -1)


def rotate(angles: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] about vectors of angles [..., 3] (Rodrigues' formula)."""
    angle = angles.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    x, y, z = (angles / angle).unbind(-1)
    zero = torch.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    cross = torch.stack(rows, -1).unflatten(-1, (3, 3))
    sin, cos = angle.sin()[..., None], angle.cos()[..., None]
    eye = torch.eye(3, dtype=angles.dtype)
    return eye + sin * cross + (1 - cos) * (cross @ cross)
