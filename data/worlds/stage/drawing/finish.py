"""What is done to pictures after the light is known: style of drawing, then rain and snow.

Shapes: M frames.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..scene import LATENT_FRAMES, STYLES, Scenes
from .style import STYLED
from .weather import PATTERNS, RAIN, SNOW, falling

PENCIL, WATERCOLOUR = STYLES.index("pencil"), STYLES.index("watercolour")
PIXELS = STYLES.index("pixels")
STRENGTH = {RAIN: 0.42, SNOW: 0.85}


def finish(
    pictures: Tensor, regions: Tensor, faces: Tensor, scenes: Scenes, frames: Tensor
) -> Tensor:
    """Display values [M, 3, Y, X] in [0, 1] as a viewer sees them.

    Args:
        pictures: display values as shaded; regions, faces: uint8 [M, Y, X].
        frames: which of the B * F frames of `scenes` these are.
    """
    clip, frame = frames // scenes.frames, frames % scenes.frames
    style, weather = scenes.style[clip], scenes.weather[clip]
    early = style == PIXELS  # what falls is pixelated too
    pictures = _fall(pictures, scenes, clip, frame, early & (weather > 0))
    for index, drawn in STYLED.items():
        rows = (style == index).nonzero()[:, 0]
        if len(rows):
            pictures[rows] = drawn(pictures[rows], regions[rows], faces[rows])
    pictures = _fall(pictures, scenes, clip, frame, ~early & (weather > 0))
    return pictures.clamp(0, 1)


def _fall(pictures: Tensor, scenes: Scenes, clip: Tensor, frame: Tensor, wanted: Tensor) -> Tensor:
    """Lay rain or snow over the wanted frames [M], in place."""
    for row in wanted.nonzero()[:, 0].tolist():
        index = int(clip[row])
        weather = int(scenes.weather[index])
        if weather not in STRENGTH:
            continue
        pattern = int(scenes.seed[index]) % PATTERNS
        phase = (int(frame[row]) - 1) % LATENT_FRAMES
        cover = falling(weather, pattern, pictures.shape[-1])[phase] * STRENGTH[weather]
        colour = _colour(int(scenes.style[index]), int(scenes.time[index]), weather)
        pictures[row] += (colour.view(3, 1, 1) - pictures[row]) * cover
    return pictures


def _colour(style: int, time: int, weather: int) -> Tensor:
    """Of what falls: bright, or as dark strokes on paper."""
    if style in (PENCIL, WATERCOLOUR):
        return torch.tensor([0.42, 0.46, 0.55])
    bright = (0.95, 0.85, 0.62)[time] if weather == SNOW else (0.90, 0.80, 0.55)[time]
    return bright * torch.tensor([0.96, 0.98, 1.0])
