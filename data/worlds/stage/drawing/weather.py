"""Rain and snow before the picture, and how they fall.

What falls repeats itself after LATENT_FRAMES frames, so that all latent frames of a still scene are
alike. Each drop or flake has followers at even distances below it and moves on by that distance in
one period.

Shapes: S things that fall, Y, X pixels.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from ..scene import LATENT_FRAMES, WEATHERS
from .style import places

PATTERNS = 6  # different falls of each kind; a clip has one of them
RAIN, SNOW = WEATHERS.index("rain"), WEATHERS.index("snow")
STREAKS, FLAKES = 22, 26
LEAN = 0.14  # width over height of a streak's slope


@lru_cache(maxsize=16)
def falling(weather: int, pattern: int, size: int) -> Tensor:
    """How much of what falls covers each pixel in each phase, [LATENT_FRAMES, Y, X] in [0, 1]."""
    draw = torch.rand(6, 64, generator=torch.Generator().manual_seed(1000 * weather + pattern))
    y, x = places(size)
    pixel = 1 / size
    phases = []
    for phase in range(LATENT_FRAMES):
        cover = torch.zeros(size, size)
        for s in range(STREAKS if weather == RAIN else FLAKES):
            step = phase / LATENT_FRAMES
            one = _streak if weather == RAIN else _flake
            cover = torch.maximum(cover, one(draw[:, s].tolist(), step, x, y, pixel))
        phases.append(cover)
    return torch.stack(phases)


def _streak(u: list[float], step: float, x: Tensor, y: Tensor, pixel: float) -> Tensor:
    every = 0.5 if u[0] < 0.6 else 1 / 3
    length = 0.07 + 0.08 * u[1]
    width = 0.0035 + 0.002 * u[2]
    down = (y - u[3] - step * every).remainder(every)  # below the head of the nearest streak
    along = torch.minimum(down / 0.02, (length - down) / 0.04).clamp(0, 1)
    column = (u[4] * 1.2 - 0.1) - LEAN * (y - 0.5)
    across = ((width - (x - column).abs()) / pixel + 0.5).clamp(0, 1)
    return along * across * (0.5 + 0.5 * u[5])


def _flake(u: list[float], step: float, x: Tensor, y: Tensor, pixel: float) -> Tensor:
    near = u[0]
    every = 0.14 + 0.22 * near
    radius = 0.0055 + 0.0085 * near
    down = (y - u[3] - step * every).remainder(every) - every / 2
    column = u[4] + 0.02 * torch.sin(y * 9 + u[5] * 6)
    distance = ((x - column) ** 2 + down * down).sqrt()
    return ((radius - distance) / pixel * 0.8 + 0.5).clamp(0, 1) * (0.75 + 0.25 * u[1])
