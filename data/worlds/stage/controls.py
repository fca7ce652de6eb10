"""What a picture of the stage is made of, for models that are told it: edges, depth, regions.

Shapes: B clips, F frames.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .drawing.render import BACKDROP, FAR, Truth
from .drawing.style import outlines

NEAR = 1.5  # metres; what is nearer is drawn as near as this

# Colours of regions: nothing says which object is which but their order from left to right.
OBJECT_COLOURS = ((230, 60, 60), (60, 200, 80), (70, 110, 240), (240, 200, 50))
BACKDROP_COLOURS = (
    (150, 200, 235),  # sky
    (110, 110, 110),  # ground
    (70, 60, 60),  # top of the rim
    (50, 40, 40),  # front of the rim
    (190, 170, 150),  # side wall
    (210, 190, 170),  # back wall
    (230, 230, 225),  # ceiling
)


def edges(truth: Truth, width: float = 1.0) -> Tensor:
    """Lines where regions or faces meet, about `width` pixels wide, uint8 [B, 1, F, Y, X]."""
    B, F = truth.regions.shape[:2]
    lines = outlines(truth.regions.flatten(0, 1), truth.faces.flatten(0, 1), width)
    return (lines * 255 + 0.5).to(torch.uint8).view(B, F, *lines.shape[-2:])[:, None]


def depth_picture(truth: Truth) -> Tensor:
    """Nearness, uint8 [B, 1, F, Y, X]: 255 at NEAR metres, half of it at twice that, 0: sky."""
    near = (NEAR / truth.depth).clamp(max=1.0)
    near = torch.where(truth.depth >= FAR, 0.0, near)
    return (near * 255 + 0.5).to(torch.uint8)[:, None]


def region_picture(truth: Truth) -> Tensor:
    """Each region in a colour of its own, uint8 [B, 3, F, Y, X]."""
    palette = torch.zeros(BACKDROP + len(BACKDROP_COLOURS), 3, dtype=torch.uint8)
    palette[1 : 1 + len(OBJECT_COLOURS)] = torch.tensor(OBJECT_COLOURS, dtype=torch.uint8)
    palette[BACKDROP:] = torch.tensor(BACKDROP_COLOURS, dtype=torch.uint8)
    return palette[truth.regions.long()].permute(0, 4, 1, 2, 3).contiguous()
