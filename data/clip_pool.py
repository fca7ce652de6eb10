"""Real clips decoded once and kept in memory: the cheap way to mix a small folder into endless rendered video."""

from __future__ import annotations

import torch
from torch import Tensor

from .folder import ClipFolder


class ClipPool:
    """`count` random clips of `folder` as one uint8 tensor [count, 3, F, Y, X].

    Args:
        folder: where the clips come from; every round through it makes other random choices.
        count: clips kept; memory is count * 3 * F * Y * X bytes.

    Raises:
        ValueError: count below 1.
    """

    def __init__(self, folder: ClipFolder, count: int) -> None:
        if count < 1:
            raise ValueError(f"count must be at least 1; got {count}")
        clips = []
        for index in range(count):
            if index and index % len(folder) == 0:
                folder.set_epoch(index // len(folder))
            clips.append(folder[index % len(folder)]["video"])
        self.video = torch.stack(clips)

    def draw(self, size: int, generator: torch.Generator) -> Tensor:
        """`size` clips, mirrored left to right half of the time."""
        rows = torch.randint(len(self.video), (size,), generator=generator)
        mirrored = torch.rand(size, generator=generator) < 0.5
        video = self.video[rows]
        return torch.where(mirrored[:, None, None, None, None], video.flip(-1), video)
