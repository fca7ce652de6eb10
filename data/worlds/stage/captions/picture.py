"""What is in the picture, and which move of the camera one sees.

Shapes: B clips, F frames, N object slots.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..motion.camera import project
from ..scene import SHAPES, Scenes
from .facts import UNKNOWN

NEAREST = 0.3  # metres before the camera


def places(scenes: Scenes) -> tuple[Tensor, Tensor, Tensor]:
    """Where centres stand in the picture, [B, F, N] each: across and up, from -1 to 1 inside it,
    and metres ahead of the camera."""
    across, up, ahead = project(scenes.position, scenes.eye, scenes.view, scenes.lens)
    return across, up, ahead


def sizes(scenes: Scenes, ahead: Tensor) -> Tensor:
    """Half heights in the picture, [B, F, N]."""
    return scenes.radius[:, None] / (ahead.clamp_min(NEAREST) * scenes.lens[:, :, None])


def in_picture(scenes: Scenes) -> Tensor:
    """bool [B, F, N]: centres inside the picture and not hidden by a nearer object."""
    across, up, ahead = places(scenes)
    inside = (across.abs() < 1) & (up.abs() < 1) & (ahead > NEAREST) & scenes.present[:, None]
    apparent = sizes(scenes, ahead)
    gap = torch.hypot(
        across[..., :, None] - across[..., None, :], up[..., :, None] - up[..., None, :]
    )
    # by the object of the last axis; half of its outline is the least that it hides for sure
    hidden = gap + 0.5 * apparent[..., :, None] < 0.9 * apparent[..., None, :]
    nearer = ahead[..., None, :] + 0.3 < ahead[..., :, None]
    solid = scenes.present & (scenes.shape != SHAPES.index("ring"))  # one sees through a ring
    hidden &= nearer & solid[:, None, None]
    return inside & ~hidden.any(-1)


def seen_camera(scenes: Scenes) -> list[int]:
    """The move of each clip's camera: 0 if it never moves, UNKNOWN if it has not gone far."""
    eye = (scenes.eye - scenes.eye[:, :1]).norm(dim=-1).amax(1)
    view = (scenes.view - scenes.view[:, :1]).norm(dim=-1).amax(1)
    lens = (scenes.lens / scenes.lens[:, :1]).log().abs().amax(1)
    if scenes.frames < 2:
        return [UNKNOWN] * len(scenes)
    still = (eye < 1e-4) & (view < 1e-4) & (lens < 1e-4)
    far = torch.stack([eye / 0.25, view / 0.08, lens / 0.08], -1).amax(-1) >= 1
    camera = torch.where(far, scenes.camera, UNKNOWN)
    return torch.where(still, torch.where(scenes.camera == 0, 0, UNKNOWN), camera).tolist()
