"""A batch of videos that is written as it is drawn; each is a whole file as soon as it has its
frames, and the others go on without it.

Legend: B videos that still grow, f Y X frames and pixels, l samples.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from ...data.video import to_uint8
from ...tokenizer.codes import latent_count
from ...training.progress import Progress
from ..provenance.writer import GeneratedVideoWriter
from .jobs import Job
from .kept_frames import KeptFrames

STEP = (
    1.5  # what a latent frame of a batch takes beside its videos, in latent frames of one of them
)

Writers = Callable[[Job, int, int], GeneratedVideoWriter]
"""Makes the writer of a video of so many frames, whose pictures are so many pixels high or wide,
whichever is less."""


def work(lengths: Sequence[int], k: int) -> float:
    """What `WrittenBatch` tells `Progress` of a batch, in latent frames of one video.

    Args:
        lengths: frames of each video; k: frames per latent.
    """
    latents = [latent_count(length, k) for length in lengths]
    return STEP * max(latents) + sum(latents)


class WrittenBatch:
    """The files of a batch of videos.

    Args:
        jobs, lengths: the videos, and the frames of each.
        writers: makes what writes a video; kept: keeps the frames too, of videos of one length.
        sound_rate: of the sound that comes with the pixels, if any does.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        lengths: Sequence[int],
        writers: Writers,
        progress: Progress,
        kept: KeptFrames | None = None,
        sound_rate: int | None = None,
    ) -> None:
        self.jobs = jobs
        self.lengths = lengths
        self.make_writer = writers
        self.progress = progress
        self.kept = kept
        self.sound_rate = sound_rate
        self.written: list[GeneratedVideoWriter] = []
        self._growing = list(range(len(jobs)))
        self._files: list[contextlib.ExitStack] = []
        self._begin = time.monotonic()

    def write(self, stream: Any, stopped: Callable[[], bool]) -> list[GeneratedVideoWriter]:
        """Draw and write all of them, or what there is when `stopped` says so, and print a line of
        each; nothing is held but what was drawn last.

        Args:
            stream: a session of these videos, or, if none is shorter than another, any iterator of
                what a session gives.
        """
        with contextlib.ExitStack() as open_files:
            self._files = [open_files.enter_context(contextlib.ExitStack()) for _ in self.jobs]
            for drawn in stream:
                chunk_B3fYX, sound_Bl = (drawn, None) if self.sound_rate is None else drawn
                chunk = to_uint8(chunk_B3fYX).cpu()
                del drawn, chunk_B3fYX
                self._take(chunk, sound_Bl)
                staying = [row for row, video in enumerate(self._growing) if self._left(video)]
                ended = [video for video in self._growing if not self._left(video)]
                self._growing = [self._growing[row] for row in staying]
                self._end(ended)
                if not staying or stopped():
                    break
                if ended:
                    stream.keep(staying)
            self._end(self._growing)
        return self.written

    def _left(self, video: int) -> int:
        """Frames that a video lacks."""
        return self.lengths[video] - self.written[video].frames

    def _take(self, chunk_B3fYX: Tensor, sound_Bl: Tensor | None) -> None:
        is_first = not self.written
        if is_first:
            side = min(chunk_B3fYX.shape[3:])
            for job, length, file in zip(self.jobs, self.lengths, self._files):
                self.written.append(file.enter_context(self.make_writer(job, length, side)))
        most = max(self._left(video) for video in self._growing)
        if self.kept is not None:
            self.kept.write(chunk_B3fYX[:, :, :most], is_first)
        taken = 0
        for row, video in enumerate(self._growing):
            writer = self.written[video]
            pixels_3fYX = chunk_B3fYX[row, :, : self._left(video)]
            writer.write(pixels_3fYX)
            frames = pixels_3fYX.shape[1]
            if sound_Bl is not None and writer.has_sound:
                samples = round(frames / chunk_B3fYX.shape[2] * sound_Bl.shape[1])
                writer.write_sound(sound_Bl[row, :samples])
            taken += frames
        self.progress.update(taken, STEP + len(self._growing))

    def _end(self, videos: Sequence[int]) -> None:
        """Complete the files of these videos."""
        if not videos or not self.written:
            return
        for video in videos:
            self._files[video].close()
        self.progress.clear()
        pace = (time.monotonic() - self._begin) / sum(writer.frames for writer in self.written)
        for video in videos:
            job = self.jobs[video]
            writer = self.written[video]
            seconds = pace * writer.frames
            print(
                f"{job.path}: {count(writer.frames)}, seed {job.seed}, {seconds:.1f} s{writer.note}"
            )


def count(frames: int) -> str:
    """Such as "33 frames"."""
    return f"{frames} frame" + "s" * (frames != 1)
