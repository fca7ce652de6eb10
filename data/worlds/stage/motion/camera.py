"""Where the camera of the stage stands and looks. Every move eases in and out and then holds.

Shapes: B clips, F frames, N object slots.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..scene import CAMERAS

DISTANCE, HEIGHT, TARGET = 5.2, 2.2, 0.70  # metres; TARGET is the height that it looks at
LENS = 0.45  # tangent of half the height of view
MOVE_SECONDS = 2.7
# Half the range of each move, by speed word: radians, or a share of the distance or of the lens.
PAN = (0.08, 0.17, 0.30)
TILT = (0.045, 0.09, 0.16)
ORBIT = (0.13, 0.26, 0.42)
DOLLY = (0.09, 0.18, 0.30)
ZOOM = (0.10, 0.20, 0.33)
FOLLOW = (0.10, 0.22, 0.45)  # share of the remaining angle that one frame makes good


def eased(frames: int, fps: float) -> Tensor:
    """Progress of a move at each frame, from -1 to 1, float64 [F]."""
    progress = (torch.arange(frames).double() / fps / MOVE_SECONDS).clamp(max=1.0)
    smooth = 3 * progress**2 - 2 * progress**3
    return 2 * (0.75 * progress + 0.25 * smooth) - 1


def camera_path(
    camera: Tensor, speed: Tensor, place: Tensor, frames: int, fps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Eye [B, F, 3], view [B, F, 2] (yaw, pitch) and lens [B, F] of the moves, float64.

    Args:
        camera, speed: words [B].
        place: [B, 2], metres by which this clip's camera is farther and higher than usual.
    """
    along = eased(frames, fps).expand(len(camera), frames)
    zero = torch.zeros_like(along)

    def move(ranges: tuple[float, ...], minus: str, plus: str) -> Tensor:
        size = torch.tensor(ranges).double()[speed][:, None] * along
        down = (camera == CAMERAS.index(minus))[:, None]
        up = (camera == CAMERAS.index(plus))[:, None]
        return torch.where(down, -size, torch.where(up, size, zero))

    angle = move(ORBIT, "orbit left", "orbit right")
    far = DISTANCE + place[:, :1]
    distance = far * (1 + move(DOLLY, "dolly in", "dolly out"))
    high = HEIGHT + place[:, 1:]
    height = TARGET + (high - TARGET) * distance / far
    eye = torch.stack([angle.sin() * distance, height, -angle.cos() * distance], -1)
    pitch = torch.atan2(TARGET - height, distance) + move(TILT, "tilt down", "tilt up")
    yaw = move(PAN, "pan left", "pan right") - angle
    lens = LENS * (1 + move(ZOOM, "zoom in", "zoom out"))
    return eye, torch.stack([yaw, pitch], -1), lens


def follow(eye: Tensor, view: Tensor, speed: Tensor, goal: Tensor, follows: Tensor) -> Tensor:
    """View [B, F, 2] that turns after the points goal [B, F, 3] where `follows` [B] says so."""
    delta = goal - eye
    flat = (delta[..., 0] ** 2 + delta[..., 2] ** 2).sqrt()
    wanted = torch.stack(
        [torch.atan2(delta[..., 0], delta[..., 2]), torch.atan2(delta[..., 1], flat)], -1
    )
    wanted = torch.stack([wanted[..., 0], 0.7 * view[..., 1] + 0.3 * wanted[..., 1]], -1)
    share = torch.tensor(FOLLOW).double()[speed][:, None]
    now = view[:, 0] + 0.5 * (wanted[:, 0] - view[:, 0])
    rows = [now]
    for frame in range(1, view.shape[1]):
        now = now + share * (wanted[:, frame] - now)
        rows.append(now)
    return torch.where(follows[:, None, None], torch.stack(rows, 1), view)


def project(
    point: Tensor, eye: Tensor, view: Tensor, lens: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Places in the picture (x to the right and y up, 1 at its edges) and depth along the view.

    point [..., N, 3]; eye [..., 3], view [..., 2] and lens [...] of the camera.
    """
    x, y, z = (point - eye[..., None, :]).unbind(-1)
    yaw, pitch = view[..., None, :].unbind(-1)
    ahead = yaw.sin() * x + yaw.cos() * z
    depth = pitch.cos() * ahead + pitch.sin() * y
    across = yaw.cos() * x - yaw.sin() * z
    upward = pitch.cos() * y - pitch.sin() * ahead
    scale = depth * lens[..., None]
    return across / scale, upward / scale, depth
