"""Many scenes of the stage at one glance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from .drawing.render import render
from .sample import sample_scenes
from .scene import StageConfig

GAP = 2  # pixels between pictures


def sheet(
    seeds: Sequence[int],
    size: int = 128,
    frames: Sequence[int] = (0,),
    columns: int = 8,
    config: StageConfig = StageConfig(max_objects=4),
    compiled: bool = False,
) -> Image.Image:
    """One picture, or a row of pictures, for each seed.

    Args:
        frames: which frames of each clip are shown, one beside the other.
        columns: pictures in a row.
    """
    scenes = sample_scenes(seeds, max(frames) + 1, config)
    video, _ = render(scenes, size, compiled=compiled)
    shown = video[:, :, list(frames)].permute(0, 2, 3, 4, 1).flatten(0, 1)  # [.., Y, X, 3]
    lines = -(-len(shown) // columns)
    paper = torch.zeros(lines * columns, size + GAP, size + GAP, 3, dtype=torch.uint8)
    paper[: len(shown), :size, :size] = shown
    paper = paper.unflatten(0, (lines, columns)).transpose(1, 2).flatten(2, 3).flatten(0, 1)
    return _image(paper[:-GAP, :-GAP])


def _image(pixels: Tensor) -> Image.Image:
    return Image.fromarray(pixels.contiguous().numpy())
