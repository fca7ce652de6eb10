"""Frames of many videos kept on disk until all of them are drawn side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import zip_longest
from types import TracebackType
from typing import Self

import torch
from torch import Tensor


class KeptFrames:
    """A nameless file where the system keeps what is temporary (TMPDIR), used as a context; nothing
    of it is left afterwards.

    Videos come in batches, chunk by chunk. Memory does not grow with their length.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed on leaving)
        # of every video: where its chunks lie, and how many frames each has
        self._chunks: list[list[tuple[int, int]]] = []
        self._picture: tuple[int, int] = (0, 0)
        self._batch = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, chunk_B3FYX: Tensor, is_first: bool) -> None:
        """Keep the next uint8 frames of a batch of videos; `is_first` begins another batch."""
        if is_first:
            self._batch = len(self._chunks)
            self._chunks += [[] for _ in chunk_B3FYX]
        height, width = chunk_B3FYX.shape[3:]
        self._picture = (height, width)
        for place, video in enumerate(chunk_B3FYX, start=self._batch):
            self._chunks[place].append((self._file.seek(0, 2), video.shape[1]))
            self._file.write(video.contiguous().numpy().tobytes())

    def side_by_side(self) -> Iterator[Tensor]:
        """uint8 chunks `[N, 3, f, Y, X]` of all videos; one that has ended holds its last frame."""
        last: list[Tensor] = []
        for places in zip_longest(*self._chunks):
            frames = max(place[1] for place in places if place is not None)
            videos = []
            for number, place in enumerate(places):
                video = last[number][:, -1:] if place is None else self._read(*place)
                missing = frames - video.shape[1]
                videos.append(torch.cat([video, video[:, -1:].expand(-1, missing, -1, -1)], dim=1))
            last = videos
            yield torch.stack(videos)

    def _read(self, place: int, frames: int) -> Tensor:
        height, width = self._picture
        self._file.seek(place)
        content = bytearray(self._file.read(3 * frames * height * width))
        return torch.frombuffer(content, dtype=torch.uint8).view(3, frames, height, width)
