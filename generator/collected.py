"""Chunks of videos of several lengths, put together as they come.

Legend: F Y X frames and pixels, L samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Collected:
    """The chunks of a session's videos, and of their sounds if there are any.

    Args:
        lengths: frames of each video.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = list(lengths)
        self.growing = list(range(len(lengths)))
        self._pixels: list[list[Tensor]] = [[] for _ in lengths]
        self._samples: list[list[Tensor]] = [[] for _ in lengths]

    def take(self, chunk: Sequence[Tensor]) -> int:
        """Add pixels [B, 3, f, Y, X], and perhaps samples [B, l], of the videos that still grow;
        how many frames these are."""
        for parts, tensor in zip((self._pixels, self._samples), chunk):
            for video, piece in zip(self.growing, tensor):
                parts[video].append(piece)
        return chunk[0].shape[2]

    def growing_after(self, frames: int) -> list[int]:
        """Which of the videos that still grew need more than so many frames, counted among
        these; the others have ended."""
        lengths = [self.lengths[video] for video in self.growing]
        staying = [i for i, length in enumerate(lengths) if length > frames]
        self.growing = [self.growing[i] for i in staying]
        return staying

    def videos(self, one_length: bool) -> Tensor | list[Tensor]:
        """[B, 3, F, Y, X], or a list of [3, F, Y, X]."""
        each = zip(self._pixels, self.lengths)
        videos = [torch.cat(parts, dim=1)[:, :length] for parts, length in each]
        return torch.stack(videos) if one_length else videos

    def sounds(self, samples_per_frame: int, one_length: bool) -> Tensor | list[Tensor]:
        """[B, L], or a list of [L]."""
        each = zip(self._samples, self.lengths)
        sounds = [torch.cat(parts)[: length * samples_per_frame] for parts, length in each]
        return torch.stack(sounds) if one_length else sounds
