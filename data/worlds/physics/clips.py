"""Rendered clips of the physics world as a dataset that never ends."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from ..rendered import RenderedClips
from .captions import Attributes, describe
from .render import render
from .scene import PhysicsConfig, Scenes, sample_scenes

HELD_OUT_SEED = 1_000_000_000
"""Seeds from here on are never trained on."""


def physics_batch(
    seeds: range,
    frames: int,
    size: int = 64,
    config: PhysicsConfig = PhysicsConfig(),
    compiled: bool = False,
) -> dict[str, Any]:
    """Scenes, pictures and sentences of the given seeds.

    Returns:
        video uint8 [B, 3, F, Y, X]; foreground bool [B, 1, F, Y, X]; caption list of B str;
        attributes list of B; scenes, the exact state.
    """
    scenes: Scenes = sample_scenes(seeds, frames, config)
    video, slots = render(scenes, size, compiled=compiled)
    texts: list[str]
    said: list[Attributes]
    texts, said = describe(scenes, seeds)
    foreground: Tensor = slots[:, None] > 0
    return {
        "video": video,
        "foreground": foreground,
        "caption": texts,
        "attributes": said,
        "scenes": scenes,
    }


class PhysicsClips(RenderedClips):
    """Clips of the physics world, see `RenderedClips`.

    Args:
        compiled: render through torch.compile.
    """

    def __init__(
        self,
        batches: int,
        batch_size: int,
        frames: int,
        size: int = 64,
        config: PhysicsConfig = PhysicsConfig(),
        first_seed: int = 0,
        start_batch: int = 0,
        compiled: bool = False,
    ) -> None:
        render = partial(physics_batch, frames=frames, size=size, config=config, compiled=compiled)
        super().__init__(render, batches, batch_size, first_seed, start_batch)
