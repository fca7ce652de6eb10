"""Styles of drawing: what becomes of a shaded picture as a flat drawing, in pencil, in pixels, in
watercolour. Paper, hatching and pigment stay where they are in the picture.

Shapes: M frames of one style.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from .backdrop import ripple, smooth

BLOCKS = 64  # of a picture's side in the style of pixels
LEVELS, HUES = 8, 24  # steps of brightness, and of each channel's distance from it, there
PAPER = (0.965, 0.95, 0.905)
GRAPHITE = (0.20, 0.19, 0.21)
INK = (0.07, 0.06, 0.09)
FAINT = 0.45  # of a line between parts of the backdrop
FIRST_BACKDROP = 10  # regions from here on are no objects


def _colour(rgb: tuple[float, float, float]) -> Tensor:
    return torch.tensor(rgb).view(3, 1, 1)


@lru_cache(maxsize=8)
def places(size: int) -> tuple[Tensor, Tensor]:
    """Rows and columns [Y, X] of pixel centres, from 0 to 1."""
    place = (torch.arange(size) + 0.5) / size
    y, x = torch.meshgrid(place, place, indexing="ij")
    return y, x


@lru_cache(maxsize=8)
def _grain(size: int) -> Tensor:
    """The unevenness of paper [Y, X], in about [-1, 1]."""
    y, x = places(size)
    return 0.6 * ripple(x * 95, y * 88) + 0.4 * ripple(x * 41 + 3, y * 47)


def outlines(regions: Tensor, faces: Tensor, width: float) -> Tensor:
    """Lines [M, 1, Y, X] in [0, 1] where regions or faces meet, about `width` pixels wide.

    regions, faces: uint8 [M, Y, X].
    """
    what = regions.int() * 32 + faces.int()
    drawn = (regions < FIRST_BACKDROP).float()
    edge = torch.zeros(what.shape)
    for axis in (1, 2):
        last = what.shape[axis] - 1
        here, before = (what.narrow(axis, start, last) for start in (1, 0))
        weight = torch.maximum(drawn.narrow(axis, 1, last), drawn.narrow(axis, 0, last))
        line = (here != before) * (FAINT + (1 - FAINT) * weight)
        part = edge.narrow(axis, 1, last)
        part.copy_(torch.maximum(part, line))
    edge = edge[:, None]
    wider = max(0, round(width) - 1)
    if wider:
        edge = functional.pad(edge, (wider // 2, (wider + 1) // 2) * 2, mode="replicate")
        edge = functional.max_pool2d(edge, 1 + wider, stride=1)
    blur = torch.tensor([0.25, 0.5, 0.25])
    kernel = (blur[:, None] * blur).view(1, 1, 3, 3)
    padded = functional.pad(edge, (1, 1, 1, 1), mode="replicate")
    return (functional.conv2d(padded, kernel) * 1.25).clamp(max=1.0)


def flat(video: Tensor, regions: Tensor, faces: Tensor) -> Tensor:
    """Even colours with dark outlines; the evenness is the shaders' work."""
    line = outlines(regions, faces, video.shape[-1] / 110) * 0.92
    return video + (_colour(INK) - video) * line


def pencil(video: Tensor, regions: Tensor, faces: Tensor) -> Tensor:
    """Coloured pencil on paper: hatching that is denser where it is darker, graphite outlines."""
    size = video.shape[-1]
    y, x = places(size)
    grain = _grain(size)
    light = video.mean(1, keepdim=True)
    bend = 2.0 * ripple(x * 3, y * 3)
    strokes = 0.5 + 0.5 * ((x + y) * 105 + bend + 0.8 * grain).sin()
    drawn = (regions < FIRST_BACKDROP)[:, None]
    dark = 1 - light
    cover = torch.where(drawn, 0.72 + 0.30 * dark, 0.30 + 0.35 * dark)
    cover = (cover * (1 - 0.30 * strokes) + 0.05 * grain).clamp(0, 1)
    vivid = (light + (video - light) * 1.25).clamp(0, 1)
    sheet = _colour(PAPER) + 0.015 * grain
    picture = sheet + (vivid - sheet) * cover
    line = outlines(regions, faces, size / 160) * (0.78 + 0.15 * grain)
    return picture + (_colour(GRAPHITE) - picture) * line


def pixels(video: Tensor, regions: Tensor, faces: Tensor) -> Tensor:
    """Large pixels of few colours."""
    size = video.shape[-1]
    blocks = min(BLOCKS, size)
    place = ((torch.arange(blocks) + 0.5) * size / blocks).long()
    small = video[:, :, place][..., place]
    light = small.mean(1, keepdim=True)
    tone = (light * LEVELS).round() / LEVELS
    hue = ((small - light) * 1.2 * HUES).round() / HUES
    small = tone + hue
    back = torch.arange(size) * blocks // size
    return small[:, :, back][..., back]


def watercolour(video: Tensor, regions: Tensor, faces: Tensor) -> Tensor:
    """Thin colour on paper: soft, uneven, darker at the edges of what is painted."""
    size = video.shape[-1]
    y, x = places(size)
    grain = _grain(size)
    wide = max(1, round(size / 128))
    soft = _blur(video, wide)
    light = soft.mean(1, keepdim=True)
    vivid = light + (soft - light) * 1.2
    pool = ripple(x * 7 + 1, y * 6) + 0.6 * ripple(x * 17, y * 19 + 5)
    rim = _blur(outlines(regions, faces, 1), wide)
    objects = (regions < FIRST_BACKDROP)[:, None].float()
    strength = 0.74 + 0.07 * pool + 0.04 * grain + (0.15 + 0.35 * objects) * rim
    strength = strength + 0.12 * objects
    edge = torch.minimum(torch.minimum(x, 1 - x), torch.minimum(y, 1 - y))
    inside = smooth((edge * 30 - 0.45 + 0.35 * ripple(x * 21, y * 23)).clamp(0, 1))
    sheet = _colour(PAPER) + 0.02 * grain
    return sheet + (vivid - sheet) * (strength * inside).clamp(0, 1.15)


def _blur(x: Tensor, radius: int) -> Tensor:
    """Mean over squares of 2 radius + 1 pixels."""
    padded = functional.pad(x, (radius,) * 4, mode="replicate")
    return functional.avg_pool2d(padded, 2 * radius + 1, stride=1)


STYLED = {1: flat, 2: pencil, 3: pixels, 4: watercolour}
"""By index into `scene.STYLES`; the first, shaded, is the picture as it is."""
