"""The frames of a file at one size and one rate, a few at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from .pixels import WHITE
from .read import Timing, even_timing, iterate_frames, probe, read_clip

CHUNK_PIXELS = 1 << 20  # at most so many go through a tokenizer at once
CHUNK_FRAMES = 32


@dataclass(frozen=True)
class FrameSource:
    """The frames of a file, scaled to `size` (shorter side), at most `max_frames` of them, sampled
    at `fps` or at the file's own rate (see `even_timing`), transparent ones on `background`."""

    path: str | Path
    size: int | None = None
    max_frames: int | None = None
    fps: float | None = None
    background: str = WHITE

    @cached_property
    def picture(self) -> tuple[int, int]:
        """Height and width of the frames."""
        video = read_clip(self.path, frames=1, size=self.size, fps=self.fps).video
        height, width = video.shape[2:]
        return height, width

    @cached_property
    def timing(self) -> Timing:
        return even_timing(self.path, self.fps)

    @property
    def note(self) -> str:
        """What somebody should know who did not ask for a rate, if anything."""
        if self.fps is not None or self.timing.sampled is None:
            return ""
        return (
            f"'{self.path}' has no constant frame rate; it is taken at {self.timing.fps:.3g} "
            "frames a second, another fps can be asked for"
        )

    def length(self) -> int:
        """About how many frames there are."""
        info = probe(self.path, self.fps)
        sampled = self.timing.sampled
        frames = info.frames if sampled is None else max(1, round(info.seconds * sampled))
        return min(frames, self.max_frames or sys.maxsize)

    def chunks(self) -> Iterator[Tensor]:
        """uint8 `[3, f, Y, X]`, fewer frames at once the larger they are."""
        height, width = self.picture
        yield from iterate_frames(
            self.path,
            frames=self.max_frames,
            fps=self.timing.sampled,
            size=self.size,
            chunk=frames_at_once(height, width),
            background=self.background,
        )


def frames_at_once(height: int, width: int) -> int:
    """How many frames of this size are worked on at once."""
    return min(CHUNK_FRAMES, max(1, CHUNK_PIXELS // (height * width)))
