"""Rendered clips kept on the disk across runs: a large picture costs far more to render than to
read.

Clip n is the clip of seed `first_seed + n`. Clips are rendered in the order of their seeds, in
parts of PART clips that are there as a whole or not at all, so a store that was stopped goes on
with the next part and runs share what they have. The folder's name holds a key of everything that
changes a clip.

Shapes: B clips, F frames, Y X pixels.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ...files.atomic import whole_file
from ...files.errors import UnreadableFile
from ...files.tensors import unreadable

PART = 8  # clips per file
Render = Callable[[range], tuple[Tensor, Tensor]]
"""Seeds to video uint8 [B, 3, F, Y, X] and foreground bool [B, 1, F, Y, X]."""

log = logging.getLogger(__name__)


class ClipStore:
    """The clips of one world and one setting.

    Args:
        folder: where stores lie, each in a folder of its own.
        key: of everything that changes a clip, first_seed too.
        render: makes the clips of seeds.
        first_seed: seed of clip 0.
    """

    def __init__(self, folder: str | Path, key: str, render: Render, first_seed: int = 0) -> None:
        self.folder = Path(folder) / key
        self.render = render
        self.first_seed = first_seed
        self._parts = 0

    def grow(self, clips: int) -> int:
        """Render what is missing of the first `clips` clips; returns how many there are then.

        Another process may do the same at the same time: each part is rendered once.
        """
        parts = -(-clips // PART)
        if parts > self._parts:
            self.folder.mkdir(parents=True, exist_ok=True)
            for part in range(self._parts, parts):
                self._make(part)
            self._parts = parts
        return parts * PART

    def read(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Video uint8 [B, 3, F, Y, X] and foreground bool [B, 1, F, Y, X] of clips that are there.

        Raises ValueError if one is not, or if its file is damaged.
        """
        videos, masks = [], []
        for row in rows:
            path = self._path(row // PART)
            if not path.is_file():
                raise ValueError(f"clip {row} is not in '{self.folder}'; grow the store first")
            try:
                with safe_open(path, "pt") as part:
                    place = row % PART
                    videos.append(part.get_slice("video")[place : place + 1])
                    packed = part.get_slice("foreground")[place : place + 1]
            except (SafetensorError, OSError) as error:
                message = f"{unreadable(path, error)}; remove it to render it anew"
                raise UnreadableFile(message) from error
            masks.append(unpack_bits(packed))
        return torch.cat(videos), torch.cat(masks)

    def _make(self, part: int) -> None:
        path = self._path(part)
        if path.is_file():
            return
        with FileLock(path.with_suffix(".lock")):
            if path.is_file():
                return
            begin = self.first_seed + part * PART
            video, foreground = self.render(range(begin, begin + PART))
            tensors = {"video": video.contiguous(), "foreground": pack_bits(foreground)}
            with whole_file(path) as file:
                file.write(save(tensors))

    def _path(self, part: int) -> Path:
        return self.folder / f"{part:06d}.safetensors"


def pack_bits(mask: Tensor) -> Tensor:
    """bool `[..., X]` to uint8 `[..., X / 8]`. ValueError if X is no multiple of 8."""
    if mask.shape[-1] % 8:
        raise ValueError(f"the width must be a multiple of 8; got {mask.shape[-1]}")
    weights = 1 << torch.arange(8, dtype=torch.uint8)
    return (mask.unflatten(-1, (-1, 8)) * weights).sum(-1, dtype=torch.uint8)


def unpack_bits(packed: Tensor) -> Tensor:
    """The inverse of `pack_bits`."""
    return ((packed[..., None] >> torch.arange(8, dtype=torch.uint8)) & 1).bool().flatten(-2)
