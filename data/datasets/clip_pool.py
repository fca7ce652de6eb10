"""Real clips decoded once and kept in memory: the cheap way to mix a small folder into endless
rendered video."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .folder import ClipFolder


class ClipPool:
    """`count` random clips of `folder` as one uint8 tensor [count, 3, F, Y, X].

    Long and large videos give more clips than short and small ones, since they hold more that is
    not the same.

    Args:
        folder: where the clips come from; every round through it makes other random choices.
        count: clips kept; memory is count * 3 * F * Y * X bytes.
        rows: the videos of the folder to take them from; all if not given.

    Raises:
        ValueError: count below 1.
    """

    def __init__(self, folder: ClipFolder, count: int, rows: Sequence[int] | None = None) -> None:
        if count < 1:
            raise ValueError(f"count must be at least 1; got {count}")
        clips = []
        for turn, row in _turns(folder, count, range(len(folder)) if rows is None else rows):
            folder.set_epoch(turn)
            clips.append(folder[row]["video"])
        self.video = torch.stack(clips)

    def draw(self, size: int, generator: torch.Generator, jitter: float = 0.0) -> Tensor:
        """`size` clips, mirrored left to right half of the time, their colours changed by up to
        `jitter` (0 to 1)."""
        rows = torch.randint(len(self.video), (size,), generator=generator)
        mirrored = torch.rand(size, generator=generator) < 0.5
        video = self.video[rows]
        video = torch.where(mirrored[:, None, None, None, None], video.flip(-1), video)
        return recolour(video, jitter, generator) if jitter else video


def recolour(video: Tensor, jitter: float, generator: torch.Generator) -> Tensor:
    """Change brightness, contrast and the balance of colours of uint8 clips [B, 3, F, Y, X],
    each by up to `jitter`."""
    contrast, balance, light = (
        1 + jitter * (2 * torch.rand(len(video), colours, 1, 1, 1, generator=generator) - 1)
        for colours in (1, 3, 1)
    )
    changed = (video.float() - 127.5) * contrast + 127.5 * light
    return (changed * (1 + (balance - 1) / 2)).round().clamp(0, 255).to(torch.uint8)


def _turns(folder: ClipFolder, count: int, rows: Sequence[int]) -> list[tuple[int, int]]:
    """`count` pairs of (turn, row): in each turn every video that holds that many clips side by
    side and end to end."""
    pixels = folder.frames * folder.size[0] * folder.size[1]
    infos = {row: folder.entries[row % len(folder.entries)].info for row in rows}
    room = {row: info.frames * info.height * info.width / pixels for row, info in infos.items()}
    turns: list[tuple[int, int]] = []
    turn = 0
    while len(turns) < count:
        fitting = [row for row in rows if turn == 0 or room[row] > turn] or rows
        turns += [(turn, row) for row in fitting]
        turn += 1
    return turns[:count]
