"""Rendered clips of the stage as a dataset that never ends."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..rendered import RenderedClips
from .captions import describe
from .drawing.render import BACKDROP, render
from .sample import sample_scenes, uniforms
from .scene import StageConfig

HELD_OUT_SEED = 1_000_000_000
"""Seeds from here on are never trained on."""


def stage_batch(
    seeds: range,
    frames: int,
    size: int = 128,
    config: StageConfig = StageConfig(),
    compiled: bool = False,
    crop: int | None = None,
) -> dict[str, Any]:
    """Scenes, pictures and sentences of the given seeds.

    Args:
        crop: side of the window that is cut out of each clip, the same in all its frames; its place
            follows from the seed, and more often than not an object is in it. None: the picture.

    Returns:
        video uint8 [B, 3, F, Y, X]; foreground bool [B, 1, F, Y, X]; caption list of B str;
        attributes list of B, what the sentences say; scenes, the exact state; truth, of the whole
        picture. The sentences are of the whole picture too.

    Raises:
        ValueError: crop is not between 1 and size.
    """
    if crop is not None and not 1 <= crop <= size:
        raise ValueError(f"crop must be from 1 to the size, {size}; got {crop}")
    scenes = sample_scenes(seeds, frames, config)
    video, truth = render(scenes, size, compiled=compiled)
    foreground = (truth.regions < BACKDROP)[:, None]
    if crop is not None:
        video, foreground = _crops(seeds, video, foreground, crop)
    texts, said = describe(scenes, seeds)
    return {
        "video": video,
        "foreground": foreground,
        "caption": texts,
        "attributes": said,
        "scenes": scenes,
        "truth": truth,
    }


def _crops(seeds: range, video: Tensor, foreground: Tensor, crop: int) -> tuple[Tensor, Tensor]:
    """One window per clip: of three random ones, the one with the most foreground."""
    most = video.shape[-1] - crop
    u = uniforms([seed + (1 << 41) for seed in seeds], (3, 2))
    corners = (u * (most + 1)).long()
    videos, masks = [], []
    for clip, mask, tries in zip(video, foreground, corners.tolist(), strict=True):
        windows = [(slice(y, y + crop), slice(x, x + crop)) for y, x in tries]
        rows, columns = max(windows, key=lambda window: int(mask[..., window[0], window[1]].sum()))
        videos.append(clip[..., rows, columns])
        masks.append(mask[..., rows, columns])
    return torch.stack(videos), torch.stack(masks)


class StageClips(RenderedClips):
    """Clips of the stage, see `RenderedClips`.

    Args:
        size, crop: side of the render, and of the window of it that is given out (None: all of it).
        compiled: render through torch.compile.
    """

    def __init__(
        self,
        batches: int,
        batch_size: int,
        frames: int,
        size: int = 128,
        config: StageConfig = StageConfig(),
        first_seed: int = 0,
        start_batch: int = 0,
        compiled: bool = False,
        crop: int | None = None,
    ) -> None:
        render = partial(
            stage_batch, frames=frames, size=size, config=config, compiled=compiled, crop=crop
        )
        super().__init__(render, batches, batch_size, first_seed, start_batch)
