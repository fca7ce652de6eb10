"""Rendered clips of the physics world as a dataset that never ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

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


class PhysicsClips(IterableDataset[dict[str, Any]]):
    """Yields whole batches {"video", "foreground", "caption"}, for DataLoader(batch_size=None).

    Args:
        batches: number of batches in all; batch i has the seeds first_seed + i * batch_size and up,
            so a resumed run can continue with `start_batch`.
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
        super().__init__()
        if batches < 1 or batch_size < 1:
            raise ValueError(
                f"batches and batch_size must be at least 1; got {batches} and {batch_size}"
            )
        self.batches = batches
        self.batch_size = batch_size
        self.frames = frames
        self.size = size
        self.config = config
        self.first_seed = first_seed
        self.start_batch = start_batch
        self.compiled = compiled

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        offset, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for index in range(self.start_batch + offset, self.start_batch + self.batches, step):
            begin = self.first_seed + index * self.batch_size
            seeds = range(begin, begin + self.batch_size)
            batch = physics_batch(seeds, self.frames, self.size, self.config, self.compiled)
            yield {key: batch[key] for key in ("video", "foreground", "caption")}
