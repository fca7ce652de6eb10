"""How sharp the edges of a reconstruction are.

Legend: B clips, F Y X frames and pixels. Videos are float `[B, 3, F, Y, X]` in [-1, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor

EDGE = 0.25  # change of lightness from a pixel to the next, of 2 from black to white


def slopes(video: Tensor) -> Tensor:
    """Change of lightness from each pixel to its right and lower neighbours, `[B, F, Y-1, X-1]`."""
    light = video.float().clamp(-1, 1).mean(1)
    across = light[..., :-1, 1:] - light[..., :-1, :-1]
    down = light[..., 1:, :-1] - light[..., :-1, :-1]
    return torch.hypot(across, down)


def edge_sharpness(video: Tensor, target: Tensor) -> Tensor:
    """How steep the edges of `target` are in `video`, of their own steepness, `[B]`: 1 is as sharp,
    less is blurred. NaN for a clip without edges."""
    wanted = slopes(target).flatten(1)
    edges = wanted > EDGE
    return (slopes(video).flatten(1) * edges).sum(1) / (wanted * edges).sum(1)


def texture(video: Tensor, target: Tensor) -> Tensor:
    """The same where there is no edge, `[B]`: 1 is as much grain and pattern, less is smoothed."""
    wanted = slopes(target).flatten(1)
    flat = wanted <= EDGE
    return (slopes(video).flatten(1) * flat).sum(1) / (wanted * flat).sum(1).clamp_min(1e-6)
