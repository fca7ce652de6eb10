"""From masks to tracks: where each coloured object is on the floor, and how the camera moved.

The camera follows a known path, so its pose is read frame by frame and then smoothed along that
path. With the pose, the foot of every mask is projected onto the floor, in metres. What remains is
the motion of the object without that of the camera.

Legend: B clips, F frames, N colours, Y X pixels, D features of a track.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..dynamics import FOOTPRINT
from ..render import FIELD_OF_VIEW
from ..scene import (
    CAMERA_DISTANCE,
    CAMERA_HEIGHT,
    CAMERA_TARGET,
    CAMERAS,
    MOVE_IN,
    ORBIT,
    PAN,
    PhysicsConfig,
    Scenes,
)
from .network import Looks

FAR = 14.0  # metres; the foot of something that hangs in the air may lie beyond the horizon
LEFT = 2  # places in the features of a track
MIDDLE = 3
RIGHT = 4
SEEN = 13
PAN_FEATURE = 14
ORBIT_FEATURE = 15
MIN_GAIN = 0.5  # share of a full move that still counts as a move


class Tracks(NamedTuple):
    """What was measured of every colour in every frame."""

    features_BFND: Tensor
    pixels_BFN: Tensor
    shape_BNS: Tensor  # log-probabilities, averaged over the pixels of all frames
    gain_BP: Tensor  # share of a full pan, orbit and move in that the clip shows


def eased(
    frames: int, fps: float = PhysicsConfig.fps, seconds: float = PhysicsConfig.camera_seconds
) -> Tensor:
    """The course [F] from -1 to 1 of every camera move, as in `scene.camera_path`."""
    progress = (torch.arange(frames) / fps / seconds).clamp(max=1.0)
    return 2 * (0.75 * progress + 0.25 * (3 * progress**2 - 2 * progress**3)) - 1


def pose_of(scenes: Scenes) -> Tensor:
    """True poses [B, F, 3] (pan, orbit, move in; -1 to 1) of the cameras of `scenes`."""
    x = scenes.eye[..., 0]
    z = scenes.eye[..., 2]
    angle = torch.atan2(x, -z)
    closer = 1 - torch.hypot(x, z) / CAMERA_DISTANCE
    return torch.stack([(scenes.view[..., 0] + angle) / PAN, angle / ORBIT, closer / MOVE_IN], -1)


def smooth_pose(pose_BFP: Tensor) -> tuple[Tensor, Tensor]:
    """Least-squares fit of `offset + gain * eased(t)` to each part of the pose.

    Returns the smooth pose [B, F, 3] and the gain [B, 3].
    """
    course = eased(pose_BFP.shape[1])
    centred = course - course.mean()
    mean = pose_BFP.mean(1)
    gain = (centred[:, None] * (pose_BFP - mean[:, None])).sum(
        1
    ) / centred.square().sum().clamp_min(1e-6)
    return mean[:, None] + gain[:, None] * centred[:, None], gain


def camera_of(gain_BP: Tensor) -> Tensor:
    """Index [B] into CAMERAS of the camera move; moving out has no class and reads as still."""
    pan, orbit, closer = gain_BP.unbind(-1)
    strength = torch.stack([torch.full_like(pan, MIN_GAIN), -pan, pan, -orbit, orbit, closer], -1)
    assert strength.shape[-1] == len(CAMERAS)
    return strength.argmax(-1)


def to_floor(plane_x: Tensor, plane_y: Tensor, pose: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Floor point (x, z) in metres at a point of the picture plane, and its distance."""
    angle = pose[..., 1] * ORBIT
    distance = CAMERA_DISTANCE * (1 - pose[..., 2] * MOVE_IN)
    yaw = pose[..., 0] * PAN - angle
    height = CAMERA_TARGET + (CAMERA_HEIGHT - CAMERA_TARGET) * distance / CAMERA_DISTANCE
    pitch = torch.atan2(CAMERA_TARGET - height, distance)
    up = pitch.cos() * plane_y + pitch.sin()
    forward = pitch.cos() - pitch.sin() * plane_y
    reach = (-height / up.clamp_max(-1e-3)).clamp(max=FAR)
    x = angle.sin() * distance + reach * (yaw.cos() * plane_x + yaw.sin() * forward)
    z = -angle.cos() * distance + reach * (yaw.cos() * forward - yaw.sin() * plane_x)
    return x, z, reach


def make_tracks(looks: Looks, clips: int) -> Tracks:
    """Tracks of every colour in `clips` clips of equal length, from what FrameNet read."""
    colour = looks.colour_MCYX.softmax(1)
    mask = torch.where(colour == colour.amax(1, keepdim=True), colour, 0.0)[:, 1:]  # [M, N, Y, X]
    pixels = mask.sum((2, 3))
    shapes = (
        torch.einsum("mnyx,msyx->mns", mask, looks.shape_MSYX.log_softmax(1))
        .unflatten(0, (clips, -1))
        .sum(1)
    )
    pixels_BFN = pixels.unflatten(0, (clips, -1))
    shape_BNS = shapes / pixels_BFN.sum(1).clamp_min(1)[..., None]
    pose_BFP, gain_BP = smooth_pose(looks.pose_MP.unflatten(0, (clips, -1)))
    edges = torch.cat([_quantiles(mask.sum(2)), _quantiles(mask.sum(3))], -1).unflatten(
        0, (clips, -1)
    )
    features = _features(edges, pixels_BFN, pose_BFP)
    constant = shape_BNS.softmax(-1)[:, None].expand(-1, features.shape[1], -1, -1)
    return Tracks(torch.cat([features, constant], -1), pixels_BFN, shape_BNS, gain_BP)


def pair_features(tracks: tuple[Tensor, Tensor], states: tuple[Tensor, Tensor]) -> Tensor:
    """Input of ContactNet, [K, F, 10], from tracks [K, F, D] and states [K, F, 4] of two objects.

    The gap is the distance between the two discs on the floor that collide in this world.
    """
    footprint = torch.tensor(FOOTPRINT)
    reach = [
        track[..., -3:] @ footprint * state[..., 3:].mean(1) for track, state in zip(tracks, states)
    ]
    apart = states[1][..., :3] - states[0][..., :3]
    reaches = reach[0] + reach[1]
    gap = torch.hypot(apart[..., 0], apart[..., 2]) - reaches
    near = gap.clamp(-0.3, 0.3) * 4
    heights = (state[..., 1] for state in states)
    seen = (track[..., SEEN] for track in tracks)
    return torch.stack([gap, near, *apart.unbind(-1), *heights, *seen, reaches], -1)


def mirror_track(features_KFD: Tensor) -> Tensor:
    """The track of the same object in a world seen in a mirror (left and right change places)."""
    order = torch.arange(features_KFD.shape[-1])
    sign = torch.ones(features_KFD.shape[-1])
    order[[LEFT, RIGHT]] = order[[RIGHT, LEFT]]
    sign[[0, LEFT, MIDDLE, RIGHT, PAN_FEATURE, ORBIT_FEATURE]] = -1
    return features_KFD[..., order] * sign


def _quantiles(mass: Tensor, shares: tuple[float, ...] = (0.04, 0.5, 0.96)) -> Tensor:
    """Quantiles [..., shares] of a profile [..., X], in [-1, 1] across the picture, sub-pixel."""
    total = mass.sum(-1, keepdim=True)
    cumulative = mass.cumsum(-1) / total.clamp_min(1e-6)
    wanted = torch.tensor(shares).expand(*mass.shape[:-1], -1).contiguous()
    index = torch.searchsorted(cumulative.contiguous(), wanted).clamp(max=mass.shape[-1] - 1)
    upper = cumulative.gather(-1, index)
    here = (mass / total.clamp_min(1e-6)).gather(-1, index)
    position = index + 1 - ((upper - wanted) / here.clamp_min(1e-6)).clamp(0, 1)
    return torch.where(total > 0, position / mass.shape[-1] * 2 - 1, 0.0)


def _features(edges_BFNE: Tensor, pixels_BFN: Tensor, pose_BFP: Tensor) -> Tensor:
    """The first 18 features; all but the time are zero where the colour is not seen.

    edges_BFNE: left, middle, right, top, middle and bottom of each mask.
    """
    left, middle, right, top, _, bottom = edges_BFNE.unbind(-1)
    pose = pose_BFP[:, :, None].expand(-1, -1, edges_BFNE.shape[2], -1)
    x, z, reach = to_floor(FIELD_OF_VIEW * middle, -FIELD_OF_VIEW * bottom, pose)
    visible = (pixels_BFN >= 4).float()
    time = (torch.arange(edges_BFNE.shape[1]) / 32)[None, :, None].expand_as(x)
    area = pixels_BFN.sqrt() / 16
    rest = torch.stack(
        [1 / reach, (right - left) * reach, (bottom - top) * reach, area * reach, area, visible], -1
    )
    parts = [torch.stack([x, z], -1), edges_BFNE, rest, pose * 0.5]
    return torch.cat([torch.cat(parts, -1) * visible[..., None], time[..., None]], -1)
