"""Three-axis rotary position embedding (RoPE, arXiv:2104.09864) for a sequence of frames.

Every token has a position (t, h, w). The R = K/2 rotation speeds of a head fall geometrically and
are dealt to the axes in turn (t, h, w, t, h, w, ...), so that each axis owns fast and slow
channels; the slowest ones barely turn and serve as position-free content channels.

    prefix token j    (-1, 0, j)
    frame header      (t, -1, -1)
    start of a row    (t, h - 1, W - 1), as the cell before it
    cell              (t, h, w)

Legend: L tokens (of a frame), K head size, R rotations, P prefix tokens, T latent frames.
"""

import math

import torch
from torch import Tensor


def rotation_speeds(head_size: int, base: float) -> Tensor:
    """Radians per unit of position, float64 [3, R]: one row per axis, zero where another axis
    owns the channel."""
    channels = torch.arange(head_size // 2, dtype=torch.float64)
    speeds = base ** (-channels / len(channels))
    axis = torch.arange(len(channels)) % 3
    return torch.stack([torch.where(axis == a, speeds, 0.0) for a in range(3)])


def prefix_positions(length: int) -> Tensor:
    """Positions of the prefix, int64 [P, 3]."""
    j = torch.arange(length)
    return torch.stack([torch.full_like(j, -1), torch.zeros_like(j), j], dim=-1)


def frame_positions(frames: Tensor, places_L2: Tensor) -> Tensor:
    """Positions of the frames with these numbers, whose tokens have these rows and columns,
    int64 [T * L, 3]."""
    t = frames[:, None, None].expand(-1, len(places_L2), 1)
    return torch.cat([t, places_L2.expand(len(frames), -1, -1)], dim=-1).flatten(0, 1)


def rotation(positions_L3: Tensor, speeds_3R: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Unit complex numbers, one per token and rotation, [L, R]: complex128 for a float64 model,
    else complex64.

    Angles are formed and reduced modulo a full turn in float64, so frame one million is as exact as
    frame one.
    """
    angles_LR = (positions_L3.to(speeds_3R) @ speeds_3R).remainder(2 * math.pi)
    turns_LR = torch.polar(torch.ones_like(angles_LR), angles_LR)
    return turns_LR if dtype == torch.float64 else turns_LR.to(torch.complex64)


def rotate(x_LHK: Tensor, rotation_LR: Tensor) -> Tensor:
    """Turns neighbouring channels of `[..., L, heads, K]` by each token's angles `[..., L, R]`;
    keeps the dtype."""
    x_LHR2 = x_LHK.to(torch.promote_types(x_LHK.dtype, torch.float32)).unflatten(-1, (-1, 2))
    turned_LHR = torch.view_as_complex(x_LHR2) * rotation_LR[..., None, :]
    return torch.view_as_real(turned_LHR).flatten(-2).to(x_LHK.dtype)
